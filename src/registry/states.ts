/** What may become of a member or an app, one step at a time. A new one may begin in any state. */
import type { FailureIssue } from '../core/failure.ts';
import type { PartyState } from './parties.ts';

const NEXT: Readonly<Record<PartyState, readonly PartyState[]>> = {
  pending: ['approved'],
  approved: ['registered'],
  registered: ['suspended', 'disabled'],
  suspended: ['registered', 'disabled'],
  disabled: ['registered', 'suspended'],
};

/** @param before  undefined: it is new */
export function transitionIssues(before: PartyState | undefined, after: PartyState): readonly FailureIssue[] {
  if (before === undefined || before === after || NEXT[before].includes(after)) return [];
  const allowed = NEXT[before].map((state) => `"${state}"`).join(' or ');
  const message = `"${before}" can only become ${allowed}, and not "${after}"`;
  return [{ pointer: '/state', code: 'wrong_transition', message }];
}

/** Envoy refuses a whole route table with an answer of more than 4,096; a character may be many bytes. */
const MAX_NOTICE_BYTES = 4_000;

/** A notice says why something is disabled: it is there then, and only then. */
export function noticeIssues(state: string | undefined, notice: string | undefined): readonly FailureIssue[] {
  if (state === 'disabled') {
    if (notice === undefined)
      return [{ pointer: '/notice', message: 'is required when state is "disabled"' }];
    return Buffer.byteLength(notice) > MAX_NOTICE_BYTES
      ? [{ pointer: '/notice', message: `is longer than ${MAX_NOTICE_BYTES} bytes` }]
      : [];
  }
  return notice === undefined
    ? []
    : [{ pointer: '/notice', message: 'is only possible when state is "disabled"' }];
}
