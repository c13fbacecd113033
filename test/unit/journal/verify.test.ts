import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ZERO_DIGEST } from '../../../src/core/digest.ts';
import type { JournalEntry, StoredCommit, StoredEntry } from '../../../src/journal/journal.ts';
import { createMemoryBlobs, createMemoryJournal } from '../../../src/journal/memory-journal.ts';
import { toSigningKey } from '../../../src/journal/signing-key.ts';
import { CHAIN_START, type Expectations, verifyCommit } from '../../../src/journal/verify.ts';
import { collectBlobReferences, verifyStore } from '../../../src/journal/verify-store.ts';
import { aCommitChain } from '../../support/journal-commits.ts';
import { resealed } from '../../support/journal-reseal.ts';

/** seq 1 genesis, 2–4 one commit, 5, 6–7 one commit */
function aJournal() {
  const chain = aCommitChain();
  chain.next('c1', { a: 1 }, { a: 2 }, { a: 3 });
  chain.next('c2', { b: 1 });
  chain.next('c3', { c: 1 }, { c: 2 });
  return chain;
}

function verify(commits: readonly StoredCommit[], expectations: Expectations = {}) {
  return verifyStore({ journal: createMemoryJournal(commits), blobs: createMemoryBlobs(), expectations });
}

/** The journal with the entry `seq` replaced. */
function withEntry(
  commits: readonly StoredCommit[],
  seq: number,
  change: (stored: StoredEntry) => StoredEntry | undefined,
): readonly StoredCommit[] {
  return commits
    .map(({ id, entries }) => ({
      id,
      entries: entries.flatMap((stored) => {
        const changed = stored.entry.seq === seq ? change(stored) : stored;
        return changed === undefined ? [] : [changed];
      }),
    }))
    .filter(({ entries }) => entries.length > 0);
}

function withMember(change: Partial<JournalEntry>): (stored: StoredEntry) => StoredEntry {
  return (stored) => ({ ...stored, entry: { ...stored.entry, ...change } });
}

describe('verifying a whole journal', () => {
  it('finds nothing in a sound one, anchored by the pin of genesis', async () => {
    const chain = aJournal();
    const result = await verify(chain.commits, {
      genesis: chain.genesis.genesisDigest,
      instance: 'test',
      environment: 'test',
    });
    expect(result).toEqual({
      ok: true,
      anchored: true,
      from: 0,
      head: chain.head(),
      entries: 7,
      erased: [],
      problems: [],
    });
  });

  it('is consistent but not anchored without the pin', async () => {
    expect(await verify(aJournal().commits)).toMatchObject({ ok: true, anchored: false });
  });

  it('names the missing genesis of an empty journal', async () => {
    expect(await verify([])).toMatchObject({ ok: false, problems: [{ seq: 1, code: 'store_mismatch' }] });
  });

  it.each([
    { what: 'pin', expectations: { genesis: ZERO_DIGEST } },
    { what: 'instance', expectations: { instance: 'other' } },
    { what: 'environment', expectations: { environment: 'other' } },
  ])('says store_mismatch at seq 1 for another $what', async ({ expectations }) => {
    const result = await verify(aJournal().commits, expectations);
    expect(result.anchored).toBe(false);
    expect(result.problems).toEqual([expect.objectContaining({ seq: 1, code: 'store_mismatch' })]);
  });

  it('reports erased bodies as erased, not as broken', async () => {
    const erase = ({ entry }: StoredEntry) => ({ entry, salt: undefined, body: undefined });
    const result = await verify(withEntry(aJournal().commits, 3, erase));
    expect(result).toMatchObject({ ok: true, erased: [3], problems: [] });
  });

  it.each([1, 2, 3, 4, 5, 6, 7])('names seq %i when one bit of its body or salt has changed', async (seq) => {
    const chain = aJournal();
    for (const member of ['body', 'salt'] as const) {
      const commits = withEntry(chain.commits, seq, (stored) => {
        const bytes = Uint8Array.from(stored[member]!);
        bytes[0]! ^= 1;
        return { ...stored, [member]: bytes };
      });
      const { problems } = await verify(commits);
      // without its genesis nothing can be verified at all
      if (seq === 1) expect(problems[0]?.seq).toBe(1);
      else expect(problems.map((problem) => problem.seq)).toEqual([seq]);
    }
  });

  it('names the seq, and only that, when any one member of any entry after genesis has changed', async () => {
    const chain = aJournal();
    const changes: Partial<JournalEntry>[] = [
      { at: '2026-01-01T12:00:00.999Z' },
      { actor: 'test:somebodz' },
      { kind: 'settings.puu' as JournalEntry['kind'] },
      { kind: 'policy.release' },
      { schema: 2 },
      { v: 2 as unknown as 1 },
      { bodyDigest: ZERO_DIGEST },
      { previous: ZERO_DIGEST },
      { digest: ZERO_DIGEST },
      { signature: 'A'.repeat(86) },
    ];
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 2, max: 7 }), fc.constantFrom(...changes), async (seq, change) => {
        const { problems } = await verify(withEntry(chain.commits, seq, withMember(change)));
        expect(problems.map((problem) => problem.seq)).toEqual([seq]);
      }),
      { numRuns: 60 },
    );
  });

  it('takes only the canonical spelling of a signature', async () => {
    const chain = aJournal();
    const signature = chain.commits[2]!.entries[0]!.entry.signature;
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const other = signature.slice(0, -1) + alphabet[alphabet.indexOf(signature.at(-1)!) + 1];
    expect(Buffer.from(other, 'base64url')).toEqual(Buffer.from(signature, 'base64url'));
    const { problems } = await verify(withEntry(chain.commits, 5, withMember({ signature: other })));
    expect(problems.map(({ seq }) => seq)).toEqual([5]);
  });

  it.each([2, 3, 4, 5, 6])('names seq %i when that entry was removed', async (seq) => {
    const { ok, problems } = await verify(withEntry(aJournal().commits, seq, () => undefined));
    expect(ok).toBe(false);
    expect(problems.map((problem) => problem.seq)).toEqual([seq]);
  });

  it('names the end of a commit whose last entry was removed at the end of the journal', async () => {
    const { problems } = await verify(withEntry(aJournal().commits, 7, () => undefined));
    expect(problems.map(({ seq }) => seq)).toEqual([7]);
  });

  it('names two broken places in one walk', async () => {
    const broken = withEntry(aJournal().commits, 3, withMember({ actor: 'x' }));
    const { problems } = await verify(withEntry(broken, 6, withMember({ actor: 'y' })));
    expect(problems.map(({ seq }) => seq)).toEqual([3, 6]);
  });

  it('refuses a journal that somebody else has written again from the start with a key of their own', async () => {
    const [mine, theirs] = [aJournal(), aJournal()];
    const result = await verify(theirs.commits, { genesis: mine.genesis.genesisDigest });
    expect(result).toMatchObject({ ok: false, anchored: false, problems: [{ seq: 1 }] });
  });

  it('checks the blobs that bodies refer to, once each, and names every seq that does', async () => {
    const blobs = createMemoryBlobs();
    const good = await blobs.put(Uint8Array.of(1));
    const chain = aCommitChain();
    chain.next('c1', { revision: { source: good } }, { artefact: ZERO_DIGEST });
    chain.next('c2', { list: [{ source: ZERO_DIGEST }], other: ZERO_DIGEST, source: 'no digest' });
    const result = await verifyStore({ journal: createMemoryJournal(chain.commits), blobs });
    expect(result.problems.map(({ seq }) => seq)).toEqual([3, 4]);
  });
});

describe('verifying one commit', () => {
  const anything = aJournal();

  it.each([
    { what: 'an unknown kind', change: { kind: 'future.kind' as JournalEntry['kind'] } },
    { what: 'an unknown schema', change: { schema: 2 } },
    { what: 'an unknown form of entry', change: { v: 2 as unknown as 1 } },
  ])('says journal_too_new for $what that is properly chained and signed', ({ change }) => {
    const { state } = verifyCommit(CHAIN_START, anything.genesis.commit);
    const commit = resealed(anything.commits[1]!, anything.genesis.signingKey, change);
    const { problems } = verifyCommit(state, commit);
    expect(problems[0]).toMatchObject({ code: 'journal_too_new', seq: 2 });
  });

  it.each([
    { what: 'another epoch', change: { epoch: 2 } },
    { what: 'a time before the one of the entry before', change: { at: '2026-01-01T11:59:59.999Z' } },
    { what: 'a time that is none', change: { at: '2026-13-01T12:00:00.000Z' } },
    { what: 'a second genesis', change: { kind: 'journal.genesis' as const } },
    { what: 'a count that is too large', change: { commit: { id: 'c2', index: 0, count: 2 } } },
    { what: 'an index that does not begin at 0', change: { commit: { id: 'c2', index: 1, count: 2 } } },
    { what: 'another commit id', change: { commit: { id: 'cx', index: 0, count: 1 } } },
  ])('says store_diverged for $what, even when it is properly chained and signed', ({ change }) => {
    const chain = aCommitChain();
    const commit = resealed(chain.next('c2', { b: 1 }), chain.genesis.signingKey, change);
    const { state } = verifyCommit(CHAIN_START, chain.genesis.commit);
    const { problems } = verifyCommit(state, { id: 'c2', entries: commit.entries });
    expect(problems[0]?.code).toBe('store_diverged');
  });

  it('refuses a signature by a key that genesis does not carry', () => {
    const other = toSigningKey(aCommitChain().genesis.signingKey.privateKey);
    const { state } = verifyCommit(CHAIN_START, anything.genesis.commit);
    const { problems } = verifyCommit(state, resealed(anything.commits[1]!, other, {}));
    expect(problems.map(({ seq }) => seq)).toEqual([2, 3, 4]);
  });

  it('refuses a genesis that is not signed by the key that it carries', () => {
    const other = aCommitChain().genesis.signingKey;
    const commit = resealed(anything.genesis.commit, other, {});
    expect(verifyCommit(CHAIN_START, commit).problems).toEqual([expect.objectContaining({ seq: 1 })]);
  });

  it('refuses a journal that begins with something else than genesis', () => {
    const { problems } = verifyCommit(CHAIN_START, anything.commits[2]!);
    expect(problems.length).toBeGreaterThan(0);
  });

  it('refuses a commit without entries', () => {
    const { problems } = verifyCommit(CHAIN_START, { id: 'x', entries: [] });
    expect(problems).toEqual([expect.objectContaining({ code: 'store_diverged', seq: 1 })]);
  });
});

describe('the blobs of a body', () => {
  it('are the digests under source and artefact, at any depth', () => {
    const other = `sha256:${'1'.repeat(64)}`;
    const body = {
      source: ZERO_DIGEST,
      a: [{ artefact: other }, { source: ZERO_DIGEST }],
      b: { digest: other },
    };
    expect([...collectBlobReferences(body)].toSorted()).toEqual([ZERO_DIGEST, other]);
  });
});
