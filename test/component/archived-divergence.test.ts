import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import type { Digest } from '../../src/core/digest.ts';
import { adoptJournal } from '../../src/journal/adopt.ts';
import { archive, planArchive } from '../../src/journal/archive.ts';
import { openBase } from '../../src/journal/base.ts';
import { writeCheckpoint } from '../../src/journal/checkpoint-writer.ts';
import { initJournal } from '../../src/journal/init.ts';
import type { Blobs, Draft, JournalBase, StoredCommit } from '../../src/journal/journal.ts';
import type { LocalLine } from '../../src/journal/lost.ts';
import { createMemoryCheckpoints } from '../../src/journal/memory-checkpoints.ts';
import { createMemoryBlobs } from '../../src/journal/memory-journal.ts';
import { systemRandom } from '../../src/journal/random.ts';
import type { SigningKey } from '../../src/journal/signing-key.ts';
import { planStoreAdoption } from '../../src/roles/adoption.ts';
import { createState, reducersOf } from '../../src/roles/state.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { aReplaceableStore, aReplica, type ReplaceableStore, type Replica } from '../support/replica.ts';

const service: Draft = {
  kind: 'registry.service.put',
  body: {
    name: 'orders',
    service: { hosts: ['orders.test'], prefix: '/', access: 'grants', endpoints: [] },
  },
};
const grant: Draft = {
  kind: 'registry.grant.put',
  body: { service: 'orders', id: 'a', grant: { subject: { spiffe: 'spiffe://mesh/a' }, operations: ['*'] } },
};
const revocation: Draft = { kind: 'registry.grant.delete', body: { service: 'orders', id: 'a' } };
const other: Draft = { kind: 'settings.put', body: { settings: {} } };

/** An archived journal, with a grant in the archived part and one entry after it, which some replica follows. */
describe('an archived store that has lost entries', () => {
  let store: ReplaceableStore;
  let genesis: Digest;
  let signingKey: SigningKey;
  let blobs: Blobs;
  let base: JournalBase;
  let replica: Replica;
  /** before anything was archived */
  let whole: readonly StoredCommit[];
  let older: readonly StoredCommit[];
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chancery-segments-'));
    store = aReplaceableStore();
    blobs = createMemoryBlobs();
    const ambient = { clock: systemClock, random: systemRandom };
    const begun = { instance: 'test', environment: 'test', development: false, ...ambient };
    ({ genesisDigest: genesis, signingKey } = await initJournal({ journal: store.journal, ...begun }));
    replica = aReplica(store.journal, { genesis, signingKey, blobs });
    await replica.change('setup', service, grant);
    const checkpoints = createMemoryCheckpoints();
    await writeCheckpoint(replica.follower.capture()!, { blobs, checkpoints, signingKey });
    await replica.change('after', other);
    whole = await store.commits();
    const options = {
      journal: store.journal,
      blobs,
      checkpoints,
      expectations: { genesis },
      before: 1_000,
      youngestMs: Number.POSITIVE_INFINITY,
      createReducers: () => reducersOf(createState()),
      logger: silentLogger,
    };
    await archive(await planArchive(options), { ...options, signingKey, folder });
    base = (await store.journal.base())!;
    older = await store.commits();
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const adopt = async (lost: readonly LocalLine[]): Promise<number> => {
    const { journal } = store;
    const plan = await planStoreAdoption({
      journal,
      blobs,
      expectations: { genesis },
      lost,
      logger: silentLogger,
    });
    const ambient = { clock: systemClock, random: systemRandom };
    await adoptJournal(plan, { journal, signingKey, reason: 'adopt', ...ambient });
    return plan.kept.length;
  };
  const isGranted = ({ state }: Replica): boolean => state.registry.view.grant('orders', 'a') !== undefined;

  it('keeps revoked what was revoked in the lost part, and the replica changes over', async () => {
    await replica.change('lost', revocation);
    const commits = await store.commits();
    await store.replaceArchived(older, base);
    await expect(replica.follower.sync()).rejects.toMatchObject({ code: 'store_diverged' });
    const checkpoint = (await openBase(base, blobs, { genesis }))!;
    expect(await adopt([{ checkpoint, commits }])).toBe(1);
    expect(await replica.follower.sync()).toMatchObject({ epoch: 2 });
    expect(isGranted(replica)).toBe(false);
    const fresh = aReplica(store.journal, { genesis, signingKey });
    fresh.follower.restore(checkpoint);
    expect(isGranted(fresh)).toBe(true);
    await fresh.follower.sync();
    expect(fresh.captured()).toEqual(replica.captured());
  });

  it('does so where the two lines part right after what was archived', async () => {
    const checkpoint = (await openBase(base, blobs, { genesis }))!;
    await store.replaceArchived([], base);
    const line = aReplica(store.journal, { genesis, signingKey, blobs });
    line.follower.restore(checkpoint);
    await line.change('other-line', revocation);
    const commits = await store.commits();
    await store.replaceArchived(older, base);
    expect(await adopt([{ checkpoint, commits }])).toBe(1);
    expect(await line.follower.sync()).toMatchObject({ epoch: 2 });
    expect(isGranted(line)).toBe(false);
  });

  it('says so when a copy ends before what the store begins with', async () => {
    const early: LocalLine = { commits: whole.slice(0, 1) };
    await expect(adopt([early])).rejects.toMatchObject({
      code: 'request_malformed',
      detail: expect.stringMatching(/begins after/),
    });
  });

  it('stays diverged when the adoption was archived, and says what ends that', async () => {
    await replica.change('lost', revocation);
    const lost = { commits: await store.commits(), checkpoint: (await openBase(base, blobs, { genesis }))! };
    await store.replaceArchived(older, base);
    await adopt([lost]);
    const admin = aReplica(store.journal, { genesis, signingKey, blobs });
    admin.follower.restore(lost.checkpoint);
    await admin.follower.sync();
    const checkpoints = createMemoryCheckpoints();
    await writeCheckpoint(admin.follower.capture()!, { blobs, checkpoints, signingKey });
    await admin.change('later', other);
    const options = {
      journal: store.journal,
      blobs,
      checkpoints,
      expectations: { genesis },
      before: 1_000,
      youngestMs: Number.POSITIVE_INFINITY,
      createReducers: () => reducersOf(createState()),
      logger: silentLogger,
    };
    await archive(await planArchive(options), { ...options, signingKey, folder });
    const before = replica.captured();
    for (let look = 0; look < 2; look += 1) {
      await expect(replica.follower.sync()).rejects.toMatchObject({
        code: expect.stringMatching(/^(store_diverged|not_found)$/),
        detail: expect.stringMatching(/remove its local copy and (re)?start it/),
      });
    }
    expect(replica.captured()).toEqual(before);
  });
});
