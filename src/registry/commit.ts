/**
 * Commits registry changes: checks a set of changes against the state that they lead to, and answers what to append.
 * Everything that is wrong is told at once.
 *
 * Whether an object may be changed by this caller (If-Match, scopes), and whether a named policy exists, is known
 * elsewhere and not asked here.
 */
import { toCanonicalJson } from '../core/canonical-json.ts';
import { Failure, type FailureIssue } from '../core/failure.ts';
import type { Draft } from '../journal/journal.ts';
import { toDraft } from './bodies.ts';
import type { Grant, Node, NodeGroup, Service, Settings } from './model.ts';
import { keyOf, type RegistryChange } from './objects.ts';
import type { App, Group, Member } from './parties.ts';
import { formIssues, ruleIssues } from './rules.ts';
import type { RegistryView } from './view.ts';

/** Of one commit. */
export const MAX_CHANGES = 1_000;

export interface PlannedChange {
  readonly change: RegistryChange;
  readonly action: 'create' | 'replace' | 'delete' | 'none';
}

export interface ChangePlan {
  /** as they were given */
  readonly changes: readonly PlannedChange[];
  /** without those that change nothing */
  readonly drafts: readonly Draft[];
  /** the registry afterwards */
  readonly after: RegistryView;
}

/**
 * Checks each change against the state after all of them, so that their order means nothing.
 *
 * @param pointerOf  where the value of the change with this index stands in what the caller sent
 * @throws Failure registry_rejected; not_found: an object is to be deleted that there is not
 */
export function planChanges(
  view: RegistryView,
  changes: readonly RegistryChange[],
  pointerOf: (index: number) => string = (index) => `/changes/${index}/value`,
): ChangePlan {
  const issuesOf = (of: (change: RegistryChange) => readonly FailureIssue[]): readonly FailureIssue[] =>
    changes.flatMap((change, index) =>
      of(change).map((issue) => ({ ...issue, pointer: pointerOf(index) + (issue.pointer ?? '') })),
    );
  refuseIf([...repeatedIssues(changes, pointerOf), ...issuesOf(formIssues)]);
  for (const { kind, name, value } of changes) {
    if (value === undefined && view.object(kind, name) === undefined) {
      throw new Failure('not_found', `there is no ${kind} "${name}"`);
    }
  }
  const planned = changes.map((change) => ({ change, action: actionOf(view, change) }));
  const real = new Set(planned.filter(({ action }) => action !== 'none').map(({ change }) => change));
  if (real.size > MAX_CHANGES) {
    throw new Failure(
      'registry_rejected',
      `${real.size} objects would change, and one commit takes ${MAX_CHANGES}`,
    );
  }
  const after = view.after([...real]);
  // what stays as it is was judged when it was made, and what it names tells who names it
  refuseIf(issuesOf((change) => (real.has(change) ? ruleIssues(view, after, change) : [])));
  return { changes: planned, drafts: [...real].map(toDraft), after };
}

/** @throws Failure registry_rejected */
export function putMember(view: RegistryView, name: string, value: Member): Draft {
  return commitOne(view, { kind: 'member', name, value });
}

/** @throws Failure not_found, registry_rejected */
export function deleteMember(view: RegistryView, name: string): Draft {
  return commitOne(view, { kind: 'member', name, value: undefined });
}

/** @throws Failure registry_rejected */
export function putApp(view: RegistryView, name: string, value: App): Draft {
  return commitOne(view, { kind: 'app', name, value });
}

/** @throws Failure not_found, registry_rejected */
export function deleteApp(view: RegistryView, name: string): Draft {
  return commitOne(view, { kind: 'app', name, value: undefined });
}

/** @throws Failure registry_rejected */
export function putGroup(view: RegistryView, name: string, value: Group): Draft {
  return commitOne(view, { kind: 'group', name, value });
}

/** @throws Failure not_found, registry_rejected */
export function deleteGroup(view: RegistryView, name: string): Draft {
  return commitOne(view, { kind: 'group', name, value: undefined });
}

/** @throws Failure registry_rejected */
export function putService(view: RegistryView, name: string, value: Service): Draft {
  return commitOne(view, { kind: 'service', name, value });
}

/** @throws Failure not_found, registry_rejected */
export function deleteService(view: RegistryView, name: string): Draft {
  return commitOne(view, { kind: 'service', name, value: undefined });
}

/** @throws Failure not_found (the service), registry_rejected */
export function putGrant(view: RegistryView, service: string, id: string, value: Grant): Draft {
  if (view.service(service) === undefined) {
    throw new Failure('not_found', `there is no service "${service}"`);
  }
  return commitOne(view, { kind: 'grant', name: `${service}/${id}`, value });
}

/** @throws Failure not_found */
export function deleteGrant(view: RegistryView, service: string, id: string): Draft {
  return commitOne(view, { kind: 'grant', name: `${service}/${id}`, value: undefined });
}

/** @throws Failure registry_rejected */
export function putNode(view: RegistryView, id: string, value: Node): Draft {
  return commitOne(view, { kind: 'node', name: id, value });
}

/** @throws Failure not_found, registry_rejected */
export function deleteNode(view: RegistryView, id: string): Draft {
  return commitOne(view, { kind: 'node', name: id, value: undefined });
}

/** @throws Failure registry_rejected */
export function putNodeGroup(view: RegistryView, name: string, value: NodeGroup): Draft {
  return commitOne(view, { kind: 'node-group', name, value });
}

/** @throws Failure not_found */
export function deleteNodeGroup(view: RegistryView, name: string): Draft {
  return commitOne(view, { kind: 'node-group', name, value: undefined });
}

/** @throws Failure registry_rejected */
export function putSettings(view: RegistryView, value: Settings): Draft {
  return commitOne(view, { kind: 'settings', name: 'settings', value });
}

/** The same draft also where it changes nothing: whoever puts one has looked. */
function commitOne(view: RegistryView, change: RegistryChange): Draft {
  planChanges(view, [change], () => '');
  return toDraft(change);
}

function actionOf(view: RegistryView, { kind, name, value }: RegistryChange): PlannedChange['action'] {
  const before = view.object(kind, name)?.value;
  if (value === undefined) return 'delete';
  if (before === undefined) return 'create';
  return toCanonicalJson(before) === toCanonicalJson(value) ? 'none' : 'replace';
}

function repeatedIssues(
  changes: readonly RegistryChange[],
  pointerOf: (index: number) => string,
): readonly FailureIssue[] {
  const seen = new Set<string>();
  return changes.flatMap(({ kind, name }, index) => {
    const key = keyOf(kind, name);
    if (seen.has(key)) return [{ pointer: pointerOf(index), message: `${kind} "${name}" is there twice` }];
    seen.add(key);
    return [];
  });
}

function refuseIf(issues: readonly FailureIssue[]): void {
  const [first] = issues;
  if (first === undefined) return;
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : '';
  throw new Failure('registry_rejected', `${first.pointer ?? ''} ${first.message}${more}`.trim(), { issues });
}
