/**
 * The Check: bytes in, bytes out. Whatever happens in between, the RPC ends OK and its answer says allow or deny; with
 * `compatibility: opa-envoy` it may fail instead.
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
import { createAnswers } from './answers.ts';
import { createCheckLog } from './check-log.ts';
import { createCheckObserver, type DecisionRecorder } from './check-observer.ts';
import { type CheckRequest, fromCheckRequest } from './check-request.ts';
import type { GrpcMessages } from './grpc-body.ts';
import type { ExtAuthzOptions } from './options.ts';
import { withEverySpelling } from './query-spellings.ts';
import { readingOf } from './reading.ts';

/** @returns the CheckResponse; rejects with an RpcFailure only, and only with `compatibility: opa-envoy` */
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
  /** of `options.protoDescriptorFile` */
  readonly grpcMessages?: GrpcMessages;
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
  const answers = createAnswers(options);
  const reading = readingOf(options, deps.grpcMessages);
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
      asked = fromCheckRequest(request, { identityFields: claims.enrolled }, reading);
      seen.parsed(asked, claims.enrolled);
      const service = asked.contextExtension('service');
      if (service !== undefined && !claims.mayAskFor(service)) {
        throw new Failure('peer_mismatch', 'the node of the certificate does not serve this service');
      }
      const decision = await decide(asked, call, atMs, seen.notes);
      const response = answers.decided(decision, decisionId, asked);
      seen.decided(decision);
      if (decision.effect === 'deny') log.denied(decisionId, decision, asked);
      return response;
    } catch (thrown) {
      const failure = Failure.from(thrown);
      seen.failed(failure);
      log.failed(decisionId, failure, asked);
      return answers.failed(failure, decisionId, asked);
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
