/**
 * The answers to Checks, by the options: as Chancery gives them (every one in an OK RPC), or as opa-envoy-plugin does
 * (`compatibility: opa-envoy`, where undefined, errors and lateness fail the RPC, and the proxy decides what that
 * means); with the decision id for the client; and in a dry run.
 *
 * A dry run lets everything pass. Unlike the plugin's it covers what could not be decided too: whoever tries a policy
 * out on traffic must not break it by a mistake in the policy. With `compatibility: opa-envoy` it is the plugin's.
 */
import type { Decision, HeaderPair } from '../core/decision.ts';
import type { Failure } from '../core/failure.ts';
import type { JsonObject } from '../core/json.ts';
import { RpcFailure } from '../grpc/status.ts';
import type { CheckRequest } from './check-request.ts';
import { toCheckResponse, toFailureResponse, toParseRefusal } from './check-response.ts';
import type { ExtAuthzOptions } from './options.ts';
import { ParseFailure } from './parse-failure.ts';

export interface Answers {
  decided(decision: Decision, decisionId: string, request: CheckRequest): Uint8Array;
  /**
   * @param request  undefined: it could not be read
   * @throws RpcFailure  with `compatibility: opa-envoy`
   */
  failed(failure: Failure, decisionId: string, request: CheckRequest | undefined): Uint8Array;
}

/** google.rpc.Code */
const UNKNOWN = 2;
const DEADLINE_EXCEEDED = 4;
const INTERNAL = 13;
const LATE = 'check request timed out before query execution: context deadline exceeded';

export function createAnswers(options: ExtAuthzOptions): Answers {
  const { dryRun = false, decisionIdHeader, compatibility } = options;
  const isPeer = compatibility === 'opa-envoy';
  const idHeader = (decisionId: string): readonly HeaderPair[] =>
    decisionIdHeader === undefined ? [] : [[decisionIdHeader, decisionId]];

  return {
    decided(decision, decisionId, request) {
      const truth = dryRun && decision.effect === 'deny' ? dryDenial(decision, isPeer) : decision;
      const isSent = (name: string): boolean => request.headerValues(name).length > 0;
      return toCheckResponse(withIdHeader(truth, idHeader(decisionId)), decisionId, isSent);
    },
    failed(failure, decisionId, request) {
      if (isPeer)
        return asPeer(failure, request) ?? toFailureResponse(failure, decisionId, idHeader(decisionId));
      if (!dryRun) return toFailureResponse(failure, decisionId, idHeader(decisionId));
      const allow = dryAllow({ dry_run: { effect: 'failure', reason: failure.code } });
      return toCheckResponse(withIdHeader(allow, idHeader(decisionId)), decisionId);
    },
  };
}

function dryDenial(decision: Extract<Decision, { effect: 'deny' }>, isPeer: boolean): Decision {
  const { dynamicMetadata, reason, response } = decision;
  const truth = { dry_run: { effect: 'deny', reason, status: response.status } };
  return dryAllow({ ...dynamicMetadata, ...(!isPeer && truth) });
}

/** Nothing of what the policy asks for on an allow or says on a denial: only its metadata. */
function dryAllow(dynamicMetadata: JsonObject): Decision {
  return {
    effect: 'allow',
    reason: 'policy_allowed',
    obligations: {
      requestHeaders: [],
      requestHeadersToRemove: [],
      responseHeaders: [],
      queryParametersToSet: [],
      queryParametersToRemove: [],
    },
    dynamicMetadata,
  };
}

/** In place of a header of that name that the policy sends: two ids would be none. */
function withIdHeader(decision: Decision, [header]: readonly HeaderPair[]): Decision {
  if (header === undefined) return decision;
  const name = header[0].toLowerCase();
  const joined = (pairs: readonly HeaderPair[]): readonly HeaderPair[] => [
    ...pairs.filter(([other]) => other.toLowerCase() !== name),
    header,
  ];
  if (decision.effect === 'allow') {
    const { obligations } = decision;
    const responseHeaders = joined(obligations.responseHeaders);
    return { ...decision, bare: false, obligations: { ...obligations, responseHeaders } };
  }
  const { response } = decision;
  return { ...decision, bare: false, response: { ...response, headers: joined(response.headers) } };
}

/** @returns undefined for what the peer does not know: credentials, grants, limits. @throws RpcFailure */
function asPeer(failure: Failure, request: CheckRequest | undefined): Uint8Array | undefined {
  const { code, detail } = failure;
  if (code === 'policy_failed') throw new RpcFailure(UNKNOWN, detail);
  if (code === 'deadline_exceeded') throw new RpcFailure(DEADLINE_EXCEEDED, LATE);
  if (code !== 'request_malformed') return undefined;
  if (request === undefined) throw new RpcFailure(INTERNAL, `grpc: error unmarshalling request: ${detail}`);
  const text = failure instanceof ParseFailure ? failure.peerText : detail;
  return toParseRefusal(`request_parse_error: ${text}`);
}
