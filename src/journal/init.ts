/** Begins a journal: `chancery init`, and whoever has an in-memory journal of its own. */
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import { createGenesis, type GenesisOptions } from './genesis.ts';
import { EMPTY_HEAD, type Journal } from './journal.ts';
import type { SigningKey } from './signing-key.ts';

export interface InitOptions extends GenesisOptions {
  readonly journal: Journal;
}

export interface InitializedJournal {
  readonly genesisDigest: Digest;
  readonly signingKey: SigningKey;
  readonly head: Position;
}

/**
 * Writes genesis, and `extraDrafts` in the same commit.
 *
 * @throws Failure already_exists  when the journal is not empty
 */
export async function initJournal({ journal, ...options }: InitOptions): Promise<InitializedJournal> {
  const { commit, signingKey, genesisDigest } = createGenesis(options);
  const own = commit.entries.at(-1)?.entry.digest;
  try {
    const head = await journal.append(commit, EMPTY_HEAD);
    // idempotent by commit id: somebody else's genesis is answered with its position
    if (head.digest === own) return { genesisDigest, signingKey, head };
  } catch (thrown) {
    const failure = Failure.from(thrown, 'store_unavailable');
    if (failure.code !== 'object_changed') throw failure;
  }
  throw new Failure('already_exists', 'the journal is not empty');
}
