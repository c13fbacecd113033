import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/core/digest.ts';
import { collectBlobs } from '../../src/journal/collect.ts';
import { EMPTY_HEAD } from '../../src/journal/journal.ts';
import { verifyStore } from '../../src/journal/verify-store.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { aCommitChain } from '../support/journal-commits.ts';
import { aTemporaryPath } from '../support/journal-stores.ts';

const ROUNDS = 60;
const SOURCES = 9;
const GRACE_MS = 3_600_000;

/** Each store is a connection of its own, with a thread of its own: the two run at the same time. */
describe('a collection while policies are published', () => {
  let path: string;
  let remove: () => Promise<void>;
  const stores: Store[] = [];
  beforeAll(async () => {
    ({ path, remove } = await aTemporaryPath('journal.db'));
  });
  afterAll(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await remove();
  });
  const open = async (): Promise<Store> => {
    const store = await openStore({ sqlite: { path }, create: true }, silentLogger);
    stores.push(store);
    return store;
  };

  it('never deletes a blob that is referred to, and deletes what was never published', async () => {
    const publisher = await open();
    const collector = await open();
    const chain = aCommitChain();
    await publisher.journal.append(chain.genesis.commit, EMPTY_HEAD);
    const database = new DatabaseSync(path, { timeout: 5_000 });
    const age = database.prepare('UPDATE blob_put SET at = 0 WHERE digest <> ?');

    let publishing = true;
    /** put, and not appended yet: no publish takes as long as the grace period */
    let pending = '';
    let deleted = 0;
    const collecting = (async (): Promise<void> => {
      while (publishing) {
        age.run(pending);
        deleted += (await collectBlobs({ ...collector, graceMs: GRACE_MS })).blobs;
      }
    })();
    try {
      for (let round = 0; round < ROUNDS; round += 1) {
        // all of these are refused at first; the collection is after them when some are published after all
        const texts = Array.from({ length: SOURCES }, (_, index) => `source ${round * SOURCES + index}`);
        for (const text of texts) await publisher.blobs.put(Buffer.from(text));
        for (const text of texts.filter((_, index) => index % 3 > 0)) {
          pending = sha256(text);
          const source = await publisher.blobs.put(Buffer.from(text));
          const before = chain.head();
          await publisher.journal.append(chain.next(text.replace(' ', '-'), { source }), before);
          pending = '';
        }
      }
    } finally {
      publishing = false;
      await collecting;
      database.close();
    }

    const expectations = { genesis: chain.genesis.genesisDigest };
    expect(await verifyStore({ ...publisher, expectations })).toMatchObject({ ok: true, problems: [] });
    expect(chain.head().seq).toBe(1 + (ROUNDS * SOURCES * 2) / 3);
    expect(deleted).toBeGreaterThan(0);
  });
});
