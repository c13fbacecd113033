/** Fills the store of an instance, and reads one as it is. */
import { systemClock } from '../../src/core/clock.ts';
import type { Digest } from '../../src/core/digest.ts';
import type { Position } from '../../src/core/position.ts';
import { createFollower } from '../../src/journal/follower.ts';
import type { Draft } from '../../src/journal/journal.ts';
import { systemRandom } from '../../src/journal/random.ts';
import { readSigningKeyFile } from '../../src/journal/signing-key.ts';
import { type VerifyStoreResult, verifyStore } from '../../src/journal/verify-store.ts';
import { createWriter } from '../../src/journal/writer.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { withTheRest } from './journal-memory.ts';
import type { Instance } from './serve-process.ts';

export interface ContentWriter {
  readonly store: Store;
  /** Appends in one commit. */
  append(id: string, ...drafts: readonly [Draft, ...Draft[]]): Promise<Position>;
  close(): Promise<void>;
}

/** As role admin appends, without its rules for what. */
export async function openWriter(
  instance: Pick<Instance, 'storeFile' | 'keyFile' | 'genesis'>,
): Promise<ContentWriter> {
  const store = await openStore({ sqlite: { path: instance.storeFile } }, silentLogger);
  const { journal } = store;
  const common = { journal, clock: systemClock, random: systemRandom };
  const follower = createFollower({
    ...common,
    reducers: withTheRest([]),
    expectations: { genesis: instance.genesis as Digest },
    logger: silentLogger,
    metrics: createMetrics(),
  });
  const writer = createWriter({ ...common, follower, signingKey: readSigningKeyFile(instance.keyFile) });
  return {
    store,
    async append(id, ...drafts) {
      const change = { id, actor: 'test:somebody', prepare: () => ({ drafts, result: undefined }) };
      return (await writer.change(change, AbortSignal.timeout(30_000))).position;
    },
    async close() {
      await follower.close();
      await store.close();
    },
  };
}

/** As a publish leaves it: an artefact of this size, and the entry that refers to it. */
export async function aRevision({ store }: ContentWriter, n: number, bytes: number): Promise<Draft> {
  const artefact = await store.blobs.put(Buffer.alloc(bytes, n));
  const source = await store.blobs.put(Buffer.from(`source ${n}`));
  const more = { entrypoints: ['envoy/authz/allow'], toolchain: 'test', abi: '1.3', tests: 0 };
  return {
    kind: 'policy.revision',
    body: { policy: `policy-${n}`, revision: source, source, artefact, ...more },
  };
}

/** Verifies all of a file. */
export async function verifyFile(
  path: string,
  genesis: string,
  { backup = false } = {},
): Promise<VerifyStoreResult> {
  const store = await openStore({ sqlite: { path }, backup }, silentLogger);
  try {
    return await verifyStore({ ...store, expectations: { genesis: genesis as Digest } });
  } finally {
    await store.close();
  }
}
