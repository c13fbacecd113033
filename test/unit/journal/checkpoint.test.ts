import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import type { Digest } from '../../../src/core/digest.ts';
import { Failure } from '../../../src/core/failure.ts';
import { adoptJournal } from '../../../src/journal/adopt.ts';
import {
  type CheckpointManifest,
  checkpointBlobs,
  parseManifest,
  signManifest,
  stateDigestOf,
  toManifestText,
  type UnsignedManifest,
} from '../../../src/journal/checkpoint.ts';
import { writeCheckpoint } from '../../../src/journal/checkpoint-writer.ts';
import type { Blobs } from '../../../src/journal/journal.ts';
import { openCheckpoint } from '../../../src/journal/local-copy.ts';
import { createMemoryJournal } from '../../../src/journal/memory-journal.ts';
import { systemRandom } from '../../../src/journal/random.ts';
import { restoreState } from '../../../src/journal/restore-state.ts';
import { generateSigningKey } from '../../../src/journal/signing-key.ts';
import { planStoreAdoption } from '../../../src/roles/adoption.ts';
import { silentLogger } from '../../../src/telemetry/logger.ts';
import {
  aReplica,
  type CheckpointJournal,
  createCheckpointJournal,
  folded,
} from '../../support/checkpoint-journal.ts';

/** @returns what a new process starts with, before and after it has read the rest */
async function start(from: CheckpointJournal, change: Partial<CheckpointJournal> = {}) {
  const parts = { ...from, ...change };
  const replica = aReplica(parts.journal, parts.expectations);
  await restoreState({ ...parts, follower: replica.follower, logger: replica.logger });
  const restored = replica.follower.position().seq;
  await replica.follower.sync();
  return { ...replica, restored };
}

describe('a start from a checkpoint', () => {
  it('has the state of a start without one, from the place of the checkpoint on', async () => {
    const test = await createCheckpointJournal();
    await test.grow(20);
    const { position } = await test.checkpoint();
    await test.grow(5);
    const { follower, restored, log } = await start(test);
    expect(restored).toBe(position.seq);
    expect(follower.position()).toEqual(test.follower.position());
    expect(folded(follower)).toEqual(folded(test.follower));
    expect(follower.genesis()).toEqual(test.follower.genesis());
    expect(log.map(({ level }) => level)).not.toContain('warn');
  });

  it('tells the listeners of everything that was restored', async () => {
    const test = await createCheckpointJournal();
    await test.grow(2);
    await test.checkpoint();
    const replica = aReplica(test.journal, test.expectations);
    const keys = new Set<string>();
    replica.follower.onApplied(({ changed }) => {
      for (const key of changed) keys.add(key);
    });
    await restoreState({ ...test, follower: replica.follower, logger: replica.logger });
    const { registry, tokens } = test.state;
    for (const { name } of registry.view.services()) expect(keys).toContain(`service/${name}`);
    for (const { id } of tokens.list()) expect(keys).toContain(`token/${id}`);
  });

  it('goes on appending where the checkpoint ends', async () => {
    const test = await createCheckpointJournal();
    await test.grow(1);
    await test.checkpoint();
    const { follower } = await start(test);
    await test.grow(1);
    await follower.sync();
    expect(folded(follower)).toEqual(folded(test.follower));
  });

  it('is not there without the pin of genesis', async () => {
    const test = await createCheckpointJournal();
    await test.grow(1);
    await test.checkpoint();
    const { restored, follower } = await start(test, { expectations: {} });
    expect(restored).toBe(0);
    expect(folded(follower)).toEqual(folded(test.follower));
  });

  it('whose entry the store does not have is a divergence', async () => {
    const test = await createCheckpointJournal();
    await test.grow(2);
    const head = test.follower.position();
    await test.checkpoint();
    const cut = {
      ...test.journal,
      head: async () => ({ ...head, seq: head.seq - 1 }),
    };
    await expect(start(test, { journal: cut })).rejects.toMatchObject({ code: 'store_diverged' });
  });
});

describe('the digest of a state', () => {
  it('is equal for equal states, wherever they come from, and for no others', async () => {
    const test = await createCheckpointJournal();
    await test.grow(8);
    const first = await test.checkpoint();
    const { follower } = await start(test);
    const again = await test.checkpoint();
    const restored = await writeCheckpoint(follower.capture()!, test);
    expect([again.stateDigest, restored.stateDigest]).toEqual([first.stateDigest, first.stateDigest]);
    expect(restored.sections).toEqual(first.sections);
    await test.grow(1);
    expect((await test.checkpoint()).stateDigest).not.toBe(first.stateDigest);
  });

  it('covers every record, over any number of chunks', async () => {
    const test = await createCheckpointJournal();
    const operations = Array.from({ length: 1_000 }, (_, index) => `operation-${index}-${'x'.repeat(40)}`);
    for (let index = 0; index < 12; index += 1) {
      const grant = { subject: { spiffe: 'spiffe://x/y' }, operations };
      await test.append('registry.grant.put', { service: 's', id: `g${index}`, grant });
    }
    const manifest = await test.checkpoint();
    const registry = manifest.sections.find(({ name }) => name === 'registry');
    expect(registry?.records).toBe(12);
    expect(registry?.chunks.length).toBeGreaterThan(2);
    const { follower, restored } = await start(test);
    expect(restored).toBe(manifest.position.seq);
    expect(folded(follower)).toEqual(folded(test.follower));
  });
});

type Change = (manifest: CheckpointManifest, test: CheckpointJournal) => CheckpointManifest | string;

function unsignedOf(manifest: CheckpointManifest): UnsignedManifest {
  const { signature, ...unsigned } = manifest;
  expect(signature).toMatch(/^[\w-]{86}$/);
  return unsigned;
}

/** Signed again by the journal's own key: what only a bug, or another version of the program, would write. */
const resigned = (manifest: CheckpointManifest, test: CheckpointJournal): CheckpointManifest => {
  const unsigned = unsignedOf(manifest);
  return signManifest({ ...unsigned, stateDigest: stateDigestOf(unsigned.sections) }, test.signingKey);
};

const UNUSABLE: Readonly<Record<string, Change>> = {
  'cut short': (manifest) => toManifestText(manifest).slice(0, -40),
  'no JSON': () => 'checkpoint',
  'of another form': (manifest) => JSON.stringify({ ...manifest, extra: 1 }),
  'of a newer form': (manifest) => JSON.stringify({ ...manifest, v: 2 }),
  'moved to another place': (manifest) => ({
    ...manifest,
    position: { ...manifest.position, seq: manifest.position.seq + 1 },
  }),
  'signed by a key of its own': (manifest) => signManifest(unsignedOf(manifest), generateSigningKey()),
  'without a signature': (manifest) => ({ ...manifest, signature: '' }),
  'with the genesis of somebody else': (manifest) => {
    const { genesis } = manifest;
    return { ...manifest, genesis: { ...genesis, entry: { ...genesis.entry, actor: 'somebody:else' } } };
  },
  'with another body of genesis': (manifest) => ({
    ...manifest,
    genesis: { ...manifest.genesis, body: Buffer.from('{"keys":[]}').toString('base64') },
  }),
  'with a section changed': (manifest) => ({
    ...manifest,
    sections: manifest.sections.map((one) => ({ ...one, records: one.records + 1 })),
  }),
  'with another state than its digest': (manifest) => ({
    ...manifest,
    stateDigest: `sha256:${'0'.repeat(64)}`,
  }),
  'of another version of a room': (manifest, test) =>
    resigned({ ...manifest, sections: manifest.sections.map((one) => ({ ...one, version: 2 })) }, test),
  'without a room': (manifest, test) =>
    resigned({ ...manifest, sections: manifest.sections.filter(({ name }) => name !== 'tokens') }, test),
  'with a room that nobody knows': (manifest, test) => {
    const another = { name: 'zzz', version: 1, records: 0, bytes: 0, chunks: [] };
    return resigned({ ...manifest, sections: [...manifest.sections, another] }, test);
  },
  'with fewer records than it says': (manifest, test) =>
    resigned(
      { ...manifest, sections: manifest.sections.map((one) => ({ ...one, records: one.records + 1 })) },
      test,
    ),
  'with the records of another room': (manifest, test) => {
    const tokens = manifest.sections.find(({ name }) => name === 'tokens');
    const swap = (one: (typeof manifest.sections)[number]) =>
      one.name === 'registry' && tokens !== undefined ? { ...tokens, name: 'registry' } : one;
    return resigned({ ...manifest, sections: manifest.sections.map(swap) }, test);
  },
};

describe.each(Object.entries(UNUSABLE))('a checkpoint %s', (_title, change) => {
  it('is left aside with a reason, and the next older one is taken', async () => {
    const test = await createCheckpointJournal();
    await test.grow(3);
    const older = await test.checkpoint();
    await test.grow(3);
    const changed = change(await test.checkpoint(), test);
    const manifest = typeof changed === 'string' ? changed : toManifestText(changed);
    await test.checkpoints.put({ position: test.follower.position(), manifest });
    const { follower, restored, log } = await start(test);
    expect(restored).toBe(older.position.seq);
    expect(folded(follower)).toEqual(folded(test.follower));
    const warnings = log.filter(({ level }) => level === 'warn');
    expect(warnings).toHaveLength(1);
    expect(Failure.from(warnings[0]?.['err']).code).toMatch(/^(store_mismatch|journal_too_new)$/);
  });

  it('alone makes a start without one', async () => {
    const test = await createCheckpointJournal();
    await test.grow(3);
    const changed = change(await test.checkpoint(), test);
    const manifest = typeof changed === 'string' ? changed : toManifestText(changed);
    await test.checkpoints.put({ position: test.follower.position(), manifest });
    const { follower, restored } = await start(test);
    expect(restored).toBe(0);
    expect(folded(follower)).toEqual(folded(test.follower));
  });
});

describe('a checkpoint of a part of the journal that was lost', () => {
  it.each([1, 2])(
    'is left aside when the store is in epoch 2 since, though not in epoch 1 (%i)',
    async (epoch) => {
      const test = await createCheckpointJournal();
      await test.grow(1);
      const older = await test.journal.read(0, 1_000);
      await test.grow(3);
      await test.checkpoint();
      const journal = createMemoryJournal(older);
      if (epoch === 2) {
        const { expectations, signingKey, blobs } = test;
        const common = { journal, blobs, expectations, logger: silentLogger };
        const plan = await planStoreAdoption({ ...common, lost: 'unknown' });
        const ambient = { clock: systemClock, random: systemRandom };
        await adoptJournal(plan, { journal, signingKey, reason: 'adopt', ...ambient });
      }
      const replica = aReplica(journal, test.expectations);
      await restoreState({ ...test, ...replica, journal });
      // what shows that entries are lost, while nobody has said that they may be, is not passed over
      expect(replica.follower.position().seq).toBe(epoch === 2 ? 0 : test.follower.position().seq);
      const synced = replica.follower.sync();
      if (epoch === 2) expect(await synced).toEqual(await journal.head());
      else await expect(synced).rejects.toMatchObject({ code: 'store_diverged' });
    },
  );
});

describe('a checkpoint whose chunks', () => {
  const withBlobs = (
    blobs: Blobs,
    change: (bytes: Uint8Array) => Uint8Array,
    of: Digest,
  ): Pick<Blobs, 'get'> => ({
    get: async (digest) => (digest === of ? change(await blobs.get(digest)) : blobs.get(digest)),
  });

  it.each([
    ['are damaged', (bytes: Uint8Array) => bytes.map((byte, index) => (index === 20 ? byte ^ 1 : byte))],
    ['are cut short', (bytes: Uint8Array) => bytes.slice(0, -5)],
    ['are not compressed', () => new TextEncoder().encode('{}\n')],
    ['are empty', () => new Uint8Array()],
  ])('%s is not opened', async (_title, change) => {
    const test = await createCheckpointJournal();
    await test.grow(5);
    const manifest = await test.checkpoint();
    const [chunk] = checkpointBlobs(manifest);
    const blobs = withBlobs(test.blobs, change, chunk!);
    await expect(openCheckpoint(manifest, blobs, test.expectations)).rejects.toMatchObject({
      code: 'store_mismatch',
    });
  });

  it('are gone is not opened, and the journal is read', async () => {
    const test = await createCheckpointJournal();
    await test.grow(5);
    await test.checkpoint();
    const blobs = {
      ...test.blobs,
      get: async () => {
        throw new Failure('not_found', 'gone');
      },
    };
    const { restored, follower } = await start(test, { blobs });
    expect(restored).toBe(0);
    expect(folded(follower)).toEqual(folded(test.follower));
  });
});

describe('a manifest', () => {
  it('is read as it was written', async () => {
    const test = await createCheckpointJournal();
    await test.grow(2);
    const manifest = await test.checkpoint();
    expect(parseManifest(toManifestText(manifest))).toEqual(manifest);
    const [stored] = await test.checkpoints.latest();
    expect(stored?.manifest).toBe(toManifestText(manifest));
    for (const digest of checkpointBlobs(manifest)) await test.blobs.get(digest);
  });

  it('of another instance is not believed', async () => {
    const [ours, theirs] = [await createCheckpointJournal(), await createCheckpointJournal()];
    await theirs.grow(1);
    const manifest = await theirs.checkpoint();
    await expect(openCheckpoint(manifest, theirs.blobs, ours.expectations)).rejects.toMatchObject({
      code: 'store_mismatch',
    });
    const elsewhere = { ...theirs.expectations, environment: 'production' };
    await expect(openCheckpoint(manifest, theirs.blobs, elsewhere)).rejects.toMatchObject({
      code: 'store_mismatch',
    });
  });
});
