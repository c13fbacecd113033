/** What the agent of a node asks, with the node's own certificate: its configuration, and to be believed what it saw. */
import { Type } from 'typebox';
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import { nameSchema } from '../registry/model.ts';
import type { Place } from '../xds/node-status.ts';
import { type AgentConfiguration, agentConfigurationSchema, proofSchema } from './agent-schemas.ts';
import { type Endpoint, ownEndpoint } from './endpoint.ts';
import { type NodeCaller, type NodeCredentialDeps, nodeCredential } from './node-credential.ts';
import { createRateLimiter } from './rate-limiter.ts';
import { componentRef } from './route-schema.ts';

export interface AgentDeps extends NodeCredentialDeps {
  /**
   * @param authority  that has signed the certificate which the node shows
   * @throws Failure registry_rejected  where this instance has no nodes of its own
   */
  readonly agentConfiguration: (node: string, authority: Digest) => Promise<AgentConfiguration>;
  readonly proofs: ProofStore;
}

/** What nodes were seen to enforce. */
export interface ProofStore {
  /** @throws Failure store_unavailable, overloaded */
  report(node: string, place: Place): Promise<void>;
  /** undefined: nobody has looked lately */
  of(node: string): Proof | undefined;
}

export interface Proof extends Place {
  /** RFC 3339: when it was told */
  readonly at: string;
}

const params = Type.Object({ id: nameSchema });
const tag = 'nodes';
/** An agent asks every few seconds. */
const CALLS = { perSecond: 2, burst: 20, maxKeys: 4_096 };

export function agentEndpoints(deps: AgentDeps): readonly Endpoint[] {
  const own = nodeCredential(deps);
  const calls = createRateLimiter(CALLS, deps.clock);

  /** @throws Failure permission_denied, rate_limited */
  const expectOwn = ({ shown }: NodeCaller, id: string): void => {
    if (shown.node !== id) throw new Failure('permission_denied', 'the certificate is that of another node');
    const retryAfterSeconds = calls.take(id);
    if (retryAfterSeconds > 0) {
      throw new Failure('rate_limited', 'this node asks too often', { retryAfterSeconds });
    }
  };

  return [
    ownEndpoint({
      operationId: 'getNodeConfiguration',
      summary: 'What a node is started with, and what it keeps for a start without Chancery, signed',
      tag,
      own,
      method: 'GET',
      url: '/v1/nodes/:id/configuration',
      params,
      answer: componentRef('AgentConfiguration', agentConfigurationSchema),
      failures: ['registry_rejected', 'store_mismatch'],
      handle: async ({ caller, params: { id } }) => {
        expectOwn(caller, id);
        return { body: await deps.agentConfiguration(id, caller.authority) };
      },
    }),
    ownEndpoint({
      operationId: 'reportProof',
      summary: 'Tell which position a node enforces, as its own listener has answered',
      tag,
      own,
      method: 'POST',
      url: '/v1/nodes/:id/proof',
      params,
      body: componentRef('Proof', proofSchema),
      handle: async ({ caller, params: { id }, body }) => {
        expectOwn(caller, id);
        await deps.proofs.report(id, parsePlace(body.position));
        return { body: undefined };
      },
    }),
  ];
}

/** @throws Failure request_malformed  beyond what a number can hold */
function parsePlace(text: string): Place {
  const [epoch = Number.NaN, seq = Number.NaN] = text.split('.').map(Number);
  if (Number.isSafeInteger(epoch) && Number.isSafeInteger(seq)) return { epoch, seq };
  throw new Failure('request_malformed', 'the position is none');
}
