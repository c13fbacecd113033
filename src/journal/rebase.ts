/**
 * A replica that has applied what the store does not hold any more: it keeps its state until the store's journal
 * holds an adoption that knows of its position. Then it reads that journal from its beginning, beside the state that
 * serves, and takes the whole of it in one step: nothing of two lines is ever served together.
 */
import { setImmediate } from 'node:timers/promises';
import { toCanonicalJson } from '../core/canonical-json.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import type { Logger } from '../telemetry/logger.ts';
import { adoptionOf, namesLost } from './adopt-body.ts';
import { samePosition } from './append-rules.ts';
import type { Reducer } from './fold.ts';
import { type CapturedState, FoldedState } from './folded-state.ts';
import type { Journal } from './journal.ts';
import { toText } from './known-head.ts';
import { readCommits } from './read-commits.ts';
import type { ChainState, Expectations } from './verify.ts';

export interface DivergenceOptions {
  readonly journal: Pick<Journal, 'head' | 'read'>;
  /** reducers that have folded nothing; without it, only another start ends it */
  readonly createReducers?: (() => readonly Reducer[]) | undefined;
  readonly expectations?: Expectations | undefined;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

export interface Divergence {
  /** what a replica says as long as it lasts */
  readonly failure: Failure;
  /**
   * Looks for the adoption that ends it. Cheap as long as the store is in no newer epoch.
   *
   * @returns the state at the head of the store; undefined: there is no such adoption yet
   * @throws Failure  when the store cannot be read, or what it holds is no sound journal
   */
  readAdopted(): Promise<CapturedState | undefined>;
}

/**
 * @param mine  as far as this replica has applied
 * @param cause  what showed that the store has another line
 */
export function createDivergence(
  { position, genesis }: ChainState,
  cause: Failure,
  options: DivergenceOptions,
): Divergence {
  const mine = position;
  let advice = '`chancery store adopt` with the local copy of the replica that is furthest ends this';
  /** the last epoch whose adoptions were read and do not name this replica: they never will */
  let judgedEpoch = mine.epoch;
  return {
    get failure() {
      const what = `${cause.detail}; this replica keeps the state of ${toText(mine)} and takes no change`;
      return new Failure('store_diverged', `${what}: ${advice}`, { cause });
    },
    async readAdopted() {
      const { createReducers } = options;
      const head = await options.journal.head();
      if (createReducers === undefined || head.epoch <= judgedEpoch) return undefined;
      const { state, named } = await fold(head, mine, { ...options, reducers: createReducers() });
      if (toCanonicalJson(state.chain.genesis ?? {}) !== toCanonicalJson(genesis ?? {})) {
        throw new Failure('store_mismatch', 'the journal of the store has another genesis');
      }
      if (named) return state;
      judgedEpoch = head.epoch;
      advice =
        `the store was adopted in epoch ${head.epoch}, but nobody knew then of what this replica has applied: run ` +
        '`chancery store adopt` again with its local copy, or remove that and restart it, to forget what only it knows';
      return undefined;
    },
  };
}

async function fold(
  through: Position,
  mine: Position,
  {
    journal,
    reducers,
    expectations,
    logger,
    signal,
  }: DivergenceOptions & {
    readonly reducers: readonly Reducer[];
  },
): Promise<{ readonly state: CapturedState; readonly named: boolean }> {
  const fresh = new FoldedState({ reducers, expectations, logger });
  let named = false;
  for await (const commit of readCommits({ journal, through, signal })) {
    fresh.apply(commit);
    const adoption = adoptionOf(commit);
    // the right file may have been put back before it was adopted: then nothing was lost here
    const isKnown = adoption !== undefined && namesLost(adoption, mine);
    named ||= isKnown || samePosition(fresh.position(), mine);
    // Checks are answered on this thread meanwhile
    await setImmediate();
  }
  const state = fresh.capture();
  if (state === undefined || !samePosition(fresh.position(), through)) {
    throw new Failure('store_diverged', 'the store does not give what its head says');
  }
  return { state, named };
}
