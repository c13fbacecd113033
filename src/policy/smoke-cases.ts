/** Smoke cases on two hosts: each must say just what is expected. */
import { toCanonicalJson } from '../core/canonical-json.ts';
import type { FailureIssue } from '../core/failure.ts';
import type { Json } from '../core/json.ts';
import type { CompleteSource, SmokeCase } from './source.ts';

/** The JSON that an entrypoint says; undefined when it says nothing. */
export type Host = (entrypoint: string, input: Json) => Json | undefined;

export interface Hosts {
  readonly ours: Host;
  /** undefined: it has not the built-in functions that the policy needs */
  readonly theirs: Host | undefined;
}

/** @param onCase  is called when a case has been evaluated by ours */
export function runCases(
  { smoke, entrypoints }: Pick<CompleteSource, 'smoke' | 'entrypoints'>,
  { ours, theirs }: Hosts,
  onCase: () => void,
): readonly FailureIssue[] {
  return smoke.flatMap((each, index) => {
    const entrypoint = each.entrypoint ?? entrypoints[0] ?? '';
    const ourDifference = differenceOf(each, entrypoint, ours);
    onCase();
    // only where ours agrees: the other one has no budget
    const message = ourDifference ?? (theirs && onSecondHost(differenceOf(each, entrypoint, theirs)));
    return message === undefined
      ? []
      : [{ pointer: `/smoke/${index}`, code: 'smoke_failed', message } satisfies FailureIssue];
  });
}

function onSecondHost(difference: string | undefined): string | undefined {
  return difference && `${difference}, on @open-policy-agent/opa-wasm`;
}

function differenceOf(smoke: SmokeCase, entrypoint: string, host: Host): string | undefined {
  const expected = textOf(smoke.result);
  try {
    const actual = textOf(host(entrypoint, smoke.input));
    return actual === expected ? undefined : `expected ${expected}, and ${entrypoint} says ${actual}`;
  } catch (thrown) {
    return `expected ${expected}, and ${entrypoint} failed: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
  }
}

function textOf(value: Json | undefined): string {
  return value === undefined ? 'undefined' : toCanonicalJson(value);
}
