/** One row of the contract with opa-envoy-plugin, as data: a request, a policy, and the whole answer. */
import type { Json } from '../../../src/core/json.ts';
import type { Answer } from './answer.ts';
import type { DifferenceId } from './differences.ts';

/** How the process is started that is asked: see `groups.ts`. */
export type Group = 'plain' | 'no-descriptor' | 'no-bodies' | 'dry-run';

export interface ContractCase {
  /** a Rego name */
  readonly id: string;
  readonly group: Group;
  /** of `attributes.request.http`, over a GET of `/` */
  readonly http?: object;
  /** of `attributes`, besides the request and the context extensions */
  readonly attributes?: object;
  /** in place of `http` and `attributes`: the bytes of the CheckRequest. Asked with the policy of case `bare` */
  readonly bytes?: Uint8Array;
  /** the value of the decision, or, with a `:=` or `if` in it, the rules of a module that defines `allow` */
  readonly policy: string;
  /** what Chancery answers */
  readonly expect: Answer;
  /** rows of the README's list that make the plugin's answer another one */
  readonly differs: readonly DifferenceId[];
}

export type CaseSpec = Omit<ContractCase, 'group' | 'differs'> &
  Partial<Pick<ContractCase, 'group' | 'differs'>>;

export function cases(specs: readonly CaseSpec[]): readonly ContractCase[] {
  return specs.map((spec) => ({ group: 'plain', differs: [], ...spec }));
}

/** A policy that shows a part of its input. */
export function see(expression: string): string {
  return `{"allowed": true, "dynamic_metadata": {"seen": ${expression}}}`;
}

/** What it then answers. */
export function seen(value: Json): Answer {
  return { status: 0, ok: {}, metadata: { seen: value, decision_id: ID } };
}

/** In place of a UUID of version 4. */
export const ID = '<decision id>';

export const PLAIN_ALLOW: Answer = { status: 0, metadata: { decision_id: ID } };
export const PLAIN_DENIAL: Answer = { status: 7, metadata: { decision_id: ID } };

export function allows(ok: Answer['ok'], metadata: object = {}): Answer {
  return { status: 0, ok: ok ?? {}, metadata: { ...metadata, decision_id: ID } };
}

export function denies(denied: Partial<NonNullable<Answer['denied']>>, metadata: object = {}): Answer {
  return {
    status: 7,
    denied: { status: 'Forbidden', ...denied },
    metadata: { ...metadata, decision_id: ID },
  };
}

const PROBLEM = [{ name: 'content-type', value: 'application/problem+json', action: OVERWRITE() }] as const;
function OVERWRITE(): string {
  return 'OVERWRITE_IF_EXISTS_OR_ADD';
}

function problem(grpc: number, status: string, body: object): Answer {
  return {
    status: grpc,
    denied: { status, headers: PROBLEM, body: JSON.stringify(body) },
    metadata: { decision_id: ID },
  };
}

export const UNDEFINED: Answer = problem(7, 'Forbidden', {
  status: 403,
  code: 'policy_undefined',
  title: 'The policy does not decide this',
});

export const FAILED: Answer = problem(13, 'InternalServerError', {
  status: 500,
  code: 'policy_failed',
  title: 'The policy could not be evaluated',
});

export function refused(detail: string): Answer {
  return problem(3, 'BadRequest', {
    status: 400,
    code: 'request_malformed',
    title: 'The request is malformed',
    detail,
  });
}
