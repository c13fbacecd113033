/**
 * A replica that has applied what the store does not hold any more: it keeps its state until the store's journal
 * holds an adoption that knows of its position. Then it reads that journal from where it begins, beside the state that
 * serves, and takes the whole of it in one step: nothing of two lines is ever served together.
 */
import { toCanonicalJson } from '../core/canonical-json.ts';
import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import type { Logger } from '../telemetry/logger.ts';
import { adoptionOf, namesLost } from './adopt-body.ts';
import { samePosition } from './append-rules.ts';
import { openBase } from './base.ts';
import type { Reducer } from './fold.ts';
import { type CapturedState, FoldedState } from './folded-state.ts';
import type { Blobs, Journal } from './journal.ts';
import { toText } from './known-head.ts';
import { readCommits } from './read-commits.ts';
import { createSlices } from './slices.ts';
import type { ChainState, Expectations } from './verify.ts';

/** of the thread that answers Checks, at a time */
const SLICE_MS = 2;

export interface DivergenceOptions {
  readonly journal: Pick<Journal, 'head' | 'read' | 'base'>;
  /** where an archived journal begins; without them, only another start ends it there */
  readonly blobs?: Pick<Blobs, 'get'> | undefined;
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
      const { state, named, isCut } = await fold(head, mine, { ...options, reducers: createReducers() });
      if (toCanonicalJson(state.chain.genesis ?? {}) !== toCanonicalJson(genesis ?? {})) {
        throw new Failure('store_mismatch', 'the journal of the store has another genesis');
      }
      if (named) return state;
      judgedEpoch = head.epoch;
      advice = isCut
        ? `the store was adopted in epoch ${head.epoch}, and who knew then of what this replica has applied was archived: ` +
          'remove its local copy and restart it, to forget what only it knows'
        : `the store was adopted in epoch ${head.epoch}, but nobody knew then of what this replica has applied: run ` +
          '`chancery store adopt` again with its local copy, or remove that and restart it, to forget what only it knows';
      return undefined;
    },
  };
}

const NO_BLOBS: Pick<Blobs, 'get'> = {
  get: () => Promise.reject(new Failure('not_found', 'there are no blobs')),
};

async function fold(
  through: Position,
  mine: Position,
  {
    journal,
    blobs = NO_BLOBS,
    reducers,
    expectations = {},
    logger,
    signal,
  }: DivergenceOptions & {
    readonly reducers: readonly Reducer[];
  },
): Promise<{ readonly state: CapturedState; readonly named: boolean; readonly isCut: boolean }> {
  const fresh = new FoldedState({ reducers, expectations, logger });
  const base = await openBase(await journal.base(), blobs, expectations);
  if (base !== undefined) fresh.restore(base);
  const isCut = fresh.position().seq > mine.seq;
  let named = samePosition(fresh.position(), mine);
  // Checks are answered on this thread meanwhile
  const slices = createSlices(SLICE_MS);
  for await (const commit of readCommits({ journal, through, signal })) {
    await fresh.applyInSlices(commit, slices);
    const adoption = adoptionOf(commit);
    // the right file may have been put back before it was adopted: then nothing was lost here
    const isKnown = adoption !== undefined && namesLost(adoption, mine);
    named ||= isKnown || samePosition(fresh.position(), mine);
    await slices.next();
  }
  const state = fresh.capture();
  if (state === undefined || !samePosition(fresh.position(), through)) {
    throw new Failure('store_diverged', 'the store does not give what its head says');
  }
  return { state, named, isCut };
}
