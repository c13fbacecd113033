/**
 * The order in which a stream goes from one snapshot to the next: what is new or changed as clusters, secrets,
 * endpoints, filters, runtime, listeners, routes; then what is gone, users before what they used. Each step waits for the ACK of the one before.
 *
 * Pure: a plan and a type in, what that type may show now out.
 */
import { RESOURCE_TYPES, type ResourceType } from './resource-types.ts';
import type { ResourceSet, Snapshot } from './snapshot.ts';

interface Step {
  readonly type: ResourceType;
  readonly removes: boolean;
}

const STEPS: readonly Step[] = [
  ...RESOURCE_TYPES.map((type) => ({ type, removes: false })),
  ...(['listener', 'routes', 'extensions', 'runtime', 'cluster', 'endpoints', 'secrets'] as const).map(
    (type) => ({
      type,
      removes: true,
    }),
  ),
];
/** Of these a client sees only what it names. */
const BY_NAME: ReadonlySet<ResourceType> = new Set([
  'secrets',
  'endpoints',
  'extensions',
  'runtime',
  'routes',
]);

/** What a type shows; undefined: nothing may be said of it yet. */
export interface Shown {
  readonly set: ResourceSet;
  readonly holdsRemovals: boolean;
}

export interface PushPlan {
  readonly from: Readonly<Partial<Record<ResourceType, ResourceSet>>>;
  readonly to: Snapshot;
  /** index into the steps; their number when done */
  readonly step: number;
}

/** A newer snapshot takes the place of one that is still under way: from what is shown now. */
export function startPlan(current: PushPlan | undefined, to: Snapshot): PushPlan {
  const from: Partial<Record<ResourceType, ResourceSet>> = {};
  for (const type of RESOURCE_TYPES) {
    const shown = current && shownBy(current, type);
    if (shown) from[type] = shown.set;
  }
  return { from, to, step: 0 };
}

export function shownBy(plan: PushPlan, type: ResourceType): Shown | undefined {
  const { from, to, step } = plan;
  const removes = STEPS.findIndex((each) => each.type === type && each.removes) <= step;
  if (RESOURCE_TYPES.indexOf(type) <= step) return { set: to.types[type], holdsRemovals: !removes };
  const before = from[type];
  // what is asked for by name may be the very thing that an earlier step waits for
  if (BY_NAME.has(type)) {
    return { set: new Map([...to.types[type], ...(before ?? [])]), holdsRemovals: true };
  }
  return before && { set: before, holdsRemovals: true };
}

/** undefined: the plan is done */
export function currentStep(plan: PushPlan): Step | undefined {
  return STEPS[plan.step];
}

export function nextStep(plan: PushPlan): PushPlan {
  return { ...plan, step: plan.step + 1 };
}
