import { describe, expect, it } from 'vitest';
import type { Adoption } from '../../../src/journal/adopt-body.ts';
import type { Draft, StoredCommit } from '../../../src/journal/journal.ts';
import { createMemoryBlobs, createMemoryJournal } from '../../../src/journal/memory-journal.ts';
import { systemRandom } from '../../../src/journal/random.ts';
import { sealCommit } from '../../../src/journal/seal.ts';
import { verifyStore } from '../../../src/journal/verify-store.ts';
import { aCommitChain, type CommitChain, NOON_MS } from '../../support/journal-commits.ts';

const SETTINGS: Draft = { kind: 'settings.put', body: { settings: {} } };

/** seq 1 genesis, 2 in epoch 1; what is sealed next is in `epoch` */
function aJournal() {
  const chain = aCommitChain();
  chain.next('c1', { a: 1 });
  const seal = (epoch: number, ...drafts: readonly Draft[]): StoredCommit => {
    const { at } = chain.commits.at(-1)!.entries.at(-1)!.entry;
    const commit = sealCommit({
      id: `sealed-${chain.commits.length}`,
      actor: 'system:adopt',
      drafts: drafts as [Draft, ...Draft[]],
      tip: { position: { ...chain.head(), epoch }, at },
      signingKey: chain.genesis.signingKey,
      nowMs: NOON_MS,
      random: systemRandom,
    });
    (chain.commits as StoredCommit[]).push(commit);
    return commit;
  };
  return { chain, seal };
}

function anAdoption(chain: CommitChain, change: Partial<Adoption> = {}): Draft {
  const body: Adoption = { base: chain.head(), lost: 'none', kept: [], reason: 'adopt', ...change };
  return { kind: 'journal.adopt', body };
}

function verify({ commits, genesis }: CommitChain) {
  return verifyStore({
    journal: createMemoryJournal(commits),
    blobs: createMemoryBlobs(),
    expectations: { genesis: genesis.genesisDigest },
  });
}

describe('verifying a journal of several epochs', () => {
  it('walks across each adoption, with what is in its commit and what comes after', async () => {
    const { chain, seal } = aJournal();
    seal(2, anAdoption(chain), SETTINGS);
    seal(2, SETTINGS);
    // the adoption of epoch 3 is lost
    seal(4, anAdoption(chain, { lost: 'unknown', reason: 'restore', note: 'a drill' }));
    chain.next('c2', { b: 1 });
    expect(await verify(chain)).toMatchObject({ ok: true, anchored: true, entries: 7, head: chain.head() });
    expect(chain.head().epoch).toBe(4);
  });

  it.each<{
    what: string;
    build: (journal: ReturnType<typeof aJournal>) => void;
    seq: number;
    message: RegExp;
  }>([
    {
      what: 'a change that begins an epoch',
      build: ({ seal }) => seal(2, SETTINGS),
      seq: 3,
      message: /another epoch/,
    },
    {
      what: 'an adoption that goes back to an earlier epoch',
      build: ({ chain, seal }) => {
        seal(3, anAdoption(chain));
        seal(2, anAdoption(chain));
      },
      seq: 4,
      message: /another epoch/,
    },
    {
      what: 'an adoption that stays in its epoch',
      build: ({ chain, seal }) => seal(1, anAdoption(chain)),
      seq: 3,
      message: /another epoch/,
    },
    {
      what: 'an adoption behind another entry of its commit',
      build: ({ chain, seal }) => seal(1, SETTINGS, anAdoption(chain)),
      seq: 4,
      message: /first entry of a commit/,
    },
    {
      what: 'an adoption of another head',
      build: ({ chain, seal }) => seal(2, anAdoption(chain, { base: { ...chain.head(), seq: 1 } })),
      seq: 3,
      message: /of another head/,
    },
    {
      what: 'an adoption with a body of another form',
      build: ({ chain, seal }) => seal(2, anAdoption(chain, { reason: 'whim' as 'adopt' })),
      seq: 3,
      message: /not that of an adoption/,
    },
    {
      what: 'a change that goes on in the old epoch',
      build: ({ chain, seal }) => {
        seal(2, anAdoption(chain));
        seal(1, SETTINGS);
      },
      seq: 4,
      message: /another epoch/,
    },
  ])('names $what', async ({ build, seq, message }) => {
    const journal = aJournal();
    build(journal);
    const { problems } = await verify(journal.chain);
    expect(problems[0]).toEqual({ code: 'store_diverged', seq, message: expect.stringMatching(message) });
  });
});
