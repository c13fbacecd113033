/**
 * OPA's drop and mask policies. One that fails neither loses the event nor lets it out: it is written with its input and
 * result erased, and with the reason.
 */
import type { Json } from '../core/json.ts';
import type { DecisionEvent } from './event.ts';
import { isLogObject, memberOf } from './json-text.ts';
import { applyMask, type Masked, readMask } from './mask.ts';
import { showsPrincipal } from './raw-forms.ts';

/** One policy, of which one entrypoint is asked. */
export interface LogPolicy {
  /** @returns undefined: it says nothing. Throws when it cannot be evaluated. */
  evaluate(entrypoint: string, input: Uint8Array): Json | undefined;
}

export interface LogPolicies {
  /** undefined: none is configured; `missing`: nothing of it is released, or can be loaded */
  mask(): LogPolicy | 'missing' | undefined;
  drop(): LogPolicy | 'missing' | undefined;
}

export const MASK_ENTRYPOINT = 'system/log/mask';
export const DROP_ENTRYPOINT = 'system/log/drop';
const NO_CHANGES: Masked = { erased: [], masked: [], missed: [] };
const ALL = ['input', 'result', 'nd_builtin_cache'] as const;

export type Screened =
  | { readonly drop: true }
  | { readonly drop: false; readonly changes: Masked; readonly failed?: string };

/** Changes the event. Both see it as it is, as in OPA: what is redacted by default is still there. */
export function screen(event: DecisionEvent, policies: LogPolicies): Screened {
  const [mask, drop] = [policies.mask(), policies.drop()];
  if (mask === undefined && drop === undefined) return { drop: false, changes: NO_CHANGES };
  try {
    const input = Buffer.from(JSON.stringify(event));
    if (isDropped(ask(drop, DROP_ENTRYPOINT, input, 'drop'))) return { drop: true };
    if (mask === undefined) return { drop: false, changes: NO_CHANGES };
    const changes = applyMask(event, readMask(ask(mask, MASK_ENTRYPOINT, input, 'mask')));
    const { erased, masked } = changes;
    // of a request that could not be shown to it, it says nothing
    const isHidden = !Object.hasOwn(event, 'input') || [...erased, ...masked].some(showsPrincipal);
    if (!isHidden) return { drop: false, changes };
    return { drop: false, changes: { ...changes, erased: [...erased, ...erasePrincipal(event)] } };
  } catch (thrown) {
    return { drop: false, ...eraseAll(event, thrown) };
  }
}

function ask(
  policy: LogPolicy | 'missing' | undefined,
  entrypoint: string,
  input: Uint8Array,
  kind: 'drop' | 'mask',
): Json | undefined {
  if (policy === 'missing') throw new LogPolicyError(`the ${kind} policy is not loaded`);
  try {
    return policy?.evaluate(entrypoint, input);
  } catch (cause) {
    throw new LogPolicyError(`the ${kind} policy failed`, { cause });
  }
}

function isDropped(result: Json | undefined): boolean {
  if (result === undefined || typeof result === 'boolean') return result === true;
  throw new LogPolicyError('the drop policy says neither true nor false');
}

class LogPolicyError extends Error {}

function eraseAll(event: DecisionEvent, thrown: unknown): { changes: Masked; failed: string } {
  const there = ALL.filter((member) => Object.hasOwn(event, member));
  for (const member of there) delete event[member];
  const failed = thrown instanceof LogPolicyError ? thrown.message : 'the mask policy says something odd';
  const erased = [...there.map((member) => `/${member}`), ...erasePrincipal(event)];
  return { changes: { ...NO_CHANGES, erased }, failed };
}

/** A mask cannot name it: it goes with what it repeats. */
function erasePrincipal(event: DecisionEvent): readonly string[] {
  const own = memberOf(event, 'chancery');
  if (!isLogObject(own) || !Object.hasOwn(own, 'principal')) return [];
  delete own['principal'];
  return ['/chancery/principal'];
}
