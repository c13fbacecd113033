/** What nodes were seen to enforce, as their agents tell it to any admin process of the instance. */
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import type { Proof, ProofStore } from '../admin/agent-endpoints.ts';
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import { createPoller } from '../journal/poller.ts';
import { jittered, type RandomBytes } from '../journal/random.ts';
import type { Shared } from '../journal/shared.ts';
import type { Logger } from '../telemetry/logger.ts';
import { within } from './announce.ts';

export interface ProofBoardDeps {
  readonly shared: Pick<Shared, 'put' | 'list'>;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly logger: Logger;
  /** between two looks at what others were told, jittered; default 1 s */
  readonly lookMs?: number;
}

const PREFIX = 'proof/';
const LOOK_MS = 1_000;
/** An agent tells it again within this time, or nobody knows any more what is enforced. */
const LIFE_MS = 60_000;

const proofSchema = Type.Object({
  epoch: Type.Integer({ minimum: 0 }),
  seq: Type.Integer({ minimum: 0 }),
  at: Type.String(),
});

export function startProofBoard(deps: ProofBoardDeps): ProofStore & { close(): void } {
  const { shared, clock, random, logger, lookMs = LOOK_MS } = deps;
  const ended = new AbortController();
  let proofs = new Map<string, Proof>();
  let trouble = false;

  const look = async (): Promise<void> => {
    try {
      const told = await within(shared.list(PREFIX));
      proofs = new Map(
        told.flatMap(({ key, value }) => {
          const proof = parse(value);
          return proof ? [[key.slice(PREFIX.length), proof] as const] : [];
        }),
      );
      trouble = false;
    } catch (error) {
      if (!trouble) logger.warn({ err: Failure.from(error) }, 'what nodes enforce is not known');
      trouble = true;
    }
  };
  createPoller({ look, nextMs: () => jittered(lookMs, random), signal: ended.signal }).hint();

  return {
    async report(node, { epoch, seq }) {
      const proof: Proof = { epoch, seq, at: new Date(clock.nowMs()).toISOString() };
      await within(shared.put(`${PREFIX}${node}`, JSON.stringify(proof), LIFE_MS));
      proofs.set(node, proof);
    },
    of(node) {
      const proof = proofs.get(node);
      return proof && clock.nowMs() - Date.parse(proof.at) < LIFE_MS ? proof : undefined;
    },
    close: () => ended.abort(),
  };
}

/** @returns undefined for what no version of ours tells */
function parse(text: string): Proof | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Value.Check(proofSchema, value) ? value : undefined;
  } catch {
    return undefined;
  }
}
