/**
 * From a request to a decision, in a straight line. Nothing here knows of gRPC or of Envoy.
 *
 * No step can turn into an allow by failing: whatever is thrown is "could not decide", which the caller denies.
 */
import type { NdCall } from '../audit/record.ts';
import type { AuthorizationRequest } from '../core/authorization-request.ts';
import type { DecidedBy, Decision } from '../core/decision.ts';
import { Failure } from '../core/failure.ts';
import type { InputReads } from '../core/input-reads.ts';
import type { JsonObject } from '../core/json.ts';
import type { AuthenticateMode, Principal } from '../core/principal.ts';
import { deny } from './denial.ts';
import { type RawResult, toDecision } from './output.ts';
import { type Selection, type ServiceLookup, selectPolicy } from './select-policy.ts';

/** What an evaluation was. */
export interface EvaluationCost {
  /** of `policy/metering.ts` */
  readonly units: number;
  /** what built-ins said that may say something else each time */
  readonly answered?: ReadonlyMap<string, NdCall> | undefined;
}

/** The running revision of one policy. */
export interface RunningPolicy {
  readonly name: string;
  readonly revision: string;
  /** of its release */
  readonly seq: number;
  /** what of its input it can read */
  readonly reads: InputReads;
  /**
   * At once, or a promise where this thread may not evaluate it. Throws when it cannot be evaluated.
   *
   * @param input  JSON in UTF-8
   * @param deadlineMs  milliseconds since the epoch
   * @param onCost  is told what it has cost, also when it throws
   */
  evaluate(
    entrypoint: string,
    input: Uint8Array,
    deadlineMs: number,
    onCost?: (cost: EvaluationCost) => void,
  ): RawResult | Promise<RawResult>;
}

export interface RunningPolicies {
  select(name: string): RunningPolicy | undefined;
  /** names of the policies with a released revision */
  releasedNames(): readonly string[];
}

/** Until when an answer is of use. The signal is made when somebody has to wait. */
export interface Deadline {
  /** milliseconds since the epoch */
  readonly atMs: number;
  signal(): AbortSignal;
}

export interface DecideDeps {
  readonly registry: ServiceLookup;
  readonly policies: RunningPolicies;
  /** credential in, principal out: see `identity/authenticate.ts` */
  readonly authenticate: (
    request: AuthorizationRequest,
    mode: AuthenticateMode,
    signal: () => AbortSignal,
  ) => Promise<Principal | 'authentication_required'>;
  /** default: ours */
  readonly toDecision?: (result: RawResult) => Decision;
}

/** What was found out on the way, also of a Check that ends without a decision: for the decision log. */
export interface DecisionNotes {
  selection?: Selection;
  /** `input.identity` */
  identity?: JsonObject;
  decidedBy?: DecidedBy;
  result?: RawResult;
  /** what built-ins said that may say something else each time */
  answered?: EvaluationCost['answered'];
  units?: number;
  /** `performance.now()` when each step was done */
  authenticatedAtMs?: number;
  evaluatedAtMs?: number;
}

/**
 * @param notes  filled on the way
 * @throws Failure  when no decision can be made: credential_*, issuer_*, peer_mismatch, policy_not_loaded,
 *         policy_failed, request_malformed, deadline_exceeded
 */
export async function decide(
  request: AuthorizationRequest,
  deps: DecideDeps,
  deadline: Deadline,
  notes: DecisionNotes = {},
): Promise<Decision> {
  const selection = selectPolicy(request, deps.registry, () => deps.policies.releasedNames());
  if (selection === 'selector_mismatch') return deny(selection);
  notes.selection = selection;

  if (selection.grant !== undefined && !(await holds(selection.grant, request, deps, deadline))) {
    return deny('no_grant');
  }

  const principal = await deps.authenticate(request, selection.authenticate, () => deadline.signal());
  if (principal === 'authentication_required') return deny(principal);
  const { workload } = principal;
  if (workload !== undefined && deps.registry.isBarred(workload.spiffe)) return deny('app_suspended');

  const identity = toIdentity(principal);
  notes.identity = identity;
  notes.authenticatedAtMs = performance.now();
  const policy = deps.policies.select(selection.policy);
  if (policy === undefined) {
    throw new Failure('policy_not_loaded', `the policy ${selection.policy} has no released revision`);
  }
  const { name, revision, seq } = policy;
  const decidedBy: DecidedBy = { policy: name, revision, seq };
  notes.decidedBy = decidedBy;
  let result: RawResult;
  try {
    const input = request.writeInput(identity, policy.reads);
    result = await evaluate(policy, selection, input, deadline, ({ units, answered }) => {
      notes.units = units;
      if (answered !== undefined) notes.answered = answered;
    });
    notes.result = result;
  } finally {
    notes.evaluatedAtMs = performance.now();
  }
  const decision = (deps.toDecision ?? toDecision)(result);
  return decision.effect === 'allow' ? decision : { ...decision, decidedBy };
}

/**
 * The proxy's RBAC has asked this before a request of a managed node comes here. It is asked again since the route may
 * be an older one, or one that we did not write; and before the credential, so that no grant is a 403 and never a 401.
 */
async function holds(
  { service, operation }: NonNullable<Selection['grant']>,
  request: AuthorizationRequest,
  deps: DecideDeps,
  deadline: Deadline,
): Promise<boolean> {
  const principal = await deps.authenticate(request, 'none', () => deadline.signal());
  if (principal === 'authentication_required' || principal.workload === undefined) return false;
  return deps.registry.isGranted(service, principal.workload.spiffe, operation);
}

async function evaluate(
  policy: RunningPolicy,
  { entrypoint }: Selection,
  input: Uint8Array,
  { atMs }: Deadline,
  onCost: (cost: EvaluationCost) => void,
): Promise<RawResult> {
  try {
    return await policy.evaluate(entrypoint, input, atMs, onCost);
  } catch (thrown) {
    throw Failure.from(thrown, 'policy_failed');
  }
}

/** `input.identity`: `{}` for anonymous. */
function toIdentity({ workload, user }: Principal): JsonObject {
  return {
    ...(workload !== undefined && { workload: { spiffe: workload.spiffe } }),
    ...(user !== undefined && {
      user: { issuer: user.issuer, subject: user.subject, claims: user.claims },
    }),
  };
}
