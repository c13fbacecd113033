import type { JsonObject } from '../../src/core/json.ts';
import type { Position } from '../../src/core/position.ts';
import { createGenesis, type NewJournal } from '../../src/journal/genesis.ts';
import type { Draft, StoredCommit } from '../../src/journal/journal.ts';
import { type RandomBytes, systemRandom } from '../../src/journal/random.ts';
import { sealCommit, type Tip } from '../../src/journal/seal.ts';

export const NOON_MS = Date.parse('2026-01-01T12:00:00.000Z');

/** Commits that follow each other, sealed without a journal. */
export interface CommitChain {
  readonly genesis: NewJournal;
  /** genesis first */
  readonly commits: readonly StoredCommit[];
  head(): Position;
  /** Seals the next commit, one entry per body. */
  next(id: string, ...bodies: readonly JsonObject[]): StoredCommit;
}

export function aCommitChain(random: RandomBytes = systemRandom): CommitChain {
  const clock = { nowMs: () => NOON_MS };
  const genesis = createGenesis({
    instance: 'test',
    environment: 'test',
    development: true,
    clock,
    random,
  });
  const commits = [genesis.commit];
  const tip = (): Tip => {
    const { epoch, seq, digest, at } = commits.at(-1)!.entries.at(-1)!.entry;
    return { position: { epoch, seq, digest }, at };
  };
  return {
    genesis,
    commits,
    head: () => tip().position,
    next(id, ...bodies) {
      const drafts = bodies.map((body): Draft => ({ kind: 'settings.put', body }));
      const commit = sealCommit({
        id,
        actor: 'test:somebody',
        drafts: drafts as [Draft, ...Draft[]],
        tip: tip(),
        signingKey: genesis.signingKey,
        nowMs: NOON_MS + commits.length * 1000,
        random,
      });
      commits.push(commit);
      return commit;
    },
  };
}

export function endOf(commit: StoredCommit): Position {
  const { epoch, seq, digest } = commit.entries.at(-1)!.entry;
  return { epoch, seq, digest };
}
