/**
 * The Check: bytes in, bytes out. Whatever happens in between, the RPC ends OK and its answer says allow or deny.
 */
import { randomUUID } from 'node:crypto';
import type { AuthorizationRequest } from '../core/authorization-request.ts';
import type { Clock } from '../core/clock.ts';
import type { Decision } from '../core/decision.ts';
import { Failure } from '../core/failure.ts';
import type { Deadline, DecisionNotes } from '../decision/decide.ts';
import { type ByteCall, type GrpcService, unaryService } from '../grpc/byte-service.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { createCheckLog } from './check-log.ts';
import { createCheckObserver, type DecisionRecorder } from './check-observer.ts';
import { type CheckRequest, fromCheckRequest } from './check-request.ts';
import { toCheckResponse, toFailureResponse } from './check-response.ts';
import type { ExtAuthzOptions } from './options.ts';
import { withEverySpelling } from './query-spellings.ts';

/** @returns the CheckResponse; never rejects */
export type CheckHandler = (request: Uint8Array, call: ByteCall) => Promise<Uint8Array>;

export interface CheckDeps {
  readonly decide: (
    request: AuthorizationRequest,
    deadline: Deadline,
    notes: DecisionNotes,
  ) => Promise<Decision>;
  /** what a peer may claim: see `identity/peer.ts` */
  readonly peerClaims: (
    peer: string,
    certificate?: Uint8Array,
  ) => { readonly enrolled: boolean; mayAskFor(service: string): boolean };
  readonly options: ExtAuthzOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** default: random UUIDs, version 4 */
  readonly newDecisionId?: () => string;
  /** the decision log; left out: there is none */
  readonly recorder?: DecisionRecorder | undefined;
}

const LONGEST_WAIT_MS = 60_000;

export function createCheckHandler(deps: CheckDeps): CheckHandler {
  const { clock, options } = deps;
  const log = createCheckLog(deps.logger, options);
  const newDecisionId = deps.newDecisionId ?? randomUUID;
  let inProgress = 0;
  const observer = createCheckObserver(deps, () => inProgress);

  const deadlineOf = ({ deadlineMs }: ByteCall): number =>
    Number.isFinite(deadlineMs) ? deadlineMs : clock.nowMs() + options.defaultDeadlineMs;

  async function decide(
    request: CheckRequest,
    call: ByteCall,
    atMs: number,
    notes: DecisionNotes,
  ): Promise<Decision> {
    const signal = (): AbortSignal =>
      AbortSignal.any([call.signal(), AbortSignal.timeout(wholeMs(atMs - clock.nowMs()))]);
    const decision = await deps.decide(request, { atMs, signal }, notes);
    if (decision.effect === 'allow' && clock.nowMs() >= atMs) {
      throw new Failure('deadline_exceeded', 'the decision came after the deadline');
    }
    return withEverySpelling(decision, request);
  }

  return async (request, call) => {
    const decisionId = newDecisionId();
    const seen = observer.begin(decisionId, request, call);
    inProgress += 1;
    let asked: CheckRequest | undefined;
    try {
      if (!seen.admitted) throw new Failure('overloaded', 'the decision log cannot take more');
      if (inProgress > options.maxConcurrent)
        throw new Failure('overloaded', 'too many Checks are in progress');
      const atMs = deadlineOf(call);
      const claims = deps.peerClaims(call.peer, call.certificate);
      asked = fromCheckRequest(request, { identityFields: claims.enrolled });
      seen.parsed(asked, claims.enrolled);
      const service = asked.contextExtension('service');
      if (service !== undefined && !claims.mayAskFor(service)) {
        throw new Failure('peer_mismatch', 'the node of the certificate does not serve this service');
      }
      const decision = await decide(asked, call, atMs, seen.notes);
      const response = toCheckResponse(decision, decisionId);
      seen.decided(decision);
      if (decision.effect === 'deny') log.denied(decisionId, decision, asked);
      return response;
    } catch (thrown) {
      const failure = Failure.from(thrown);
      seen.failed(failure);
      log.failed(decisionId, failure, asked);
      return toFailureResponse(failure, decisionId);
    } finally {
      inProgress -= 1;
      seen.end();
    }
  };
}

/** What `AbortSignal.timeout` takes; a caller may name any deadline. */
function wholeMs(duration: number): number {
  return Math.ceil(Math.min(Math.max(0, duration), LONGEST_WAIT_MS));
}

/** `envoy.service.auth.v3.Authorization`, for a gRPC server. */
export function checkService(handler: CheckHandler): GrpcService {
  return unaryService('envoy.service.auth.v3.Authorization', 'Check', handler);
}
