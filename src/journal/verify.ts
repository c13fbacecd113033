/**
 * Verifies a journal commit by commit: numbering, chain, digests, time and signatures (architecture §2).
 *
 * One pure step, `(state, commit) → { state, entries, problems }`. A follower stops at the first problem;
 * `verifyStore` notes it, goes on from what the store says and so names every place that was touched. What the
 * chain cannot show is a tail that is missing altogether: a follower knows that from its own position.
 */
import type { KeyObject } from 'node:crypto';
import { type Digest, ZERO_DIGEST } from '../core/digest.ts';
import type { JsonObject } from '../core/json.ts';
import type { Position } from '../core/position.ts';
import { parseAdoption } from './adopt-body.ts';
import { samePosition } from './append-rules.ts';
import { entryDigest, FIRST_EPOCH, signedBytes } from './entry-bytes.ts';
import { type Genesis, genesisKeys, parseGenesis } from './genesis.ts';
import type { JournalEntry, StoredCommit, StoredEntry } from './journal.ts';
import { ENTRY_KINDS, isEntryKind } from './kinds.ts';
import { isSignedBy } from './signing-key.ts';
import type { Slices } from './slices.ts';
import { verifyBody } from './verify-body.ts';

/** What the journal must be; without `genesis` it is consistent at best, never anchored. */
export interface Expectations {
  /** the pinned digest of entry 1 */
  readonly genesis?: Digest;
  readonly instance?: string;
  readonly environment?: string;
}

export interface ChainState {
  /** the last entry seen; before the first, seq 0 */
  readonly position: Position;
  /** what the last entry hashes to, when that is not the digest that it states */
  readonly recomputed?: Digest;
  /** of the last sound entry; '' before the first */
  readonly at: string;
  readonly genesis: Genesis | undefined;
  readonly keys: readonly KeyObject[];
}

export const CHAIN_START: ChainState = {
  position: { epoch: FIRST_EPOCH, seq: 0, digest: ZERO_DIGEST },
  at: '',
  genesis: undefined,
  keys: [],
};

export interface ChainProblem {
  readonly code: 'store_diverged' | 'store_mismatch' | 'journal_too_new';
  readonly seq: number;
  readonly message: string;
}

export interface VerifiedEntry {
  readonly entry: JournalEntry;
  /** undefined: erased, or not sound */
  readonly body: JsonObject | undefined;
  /** body and salt are gone, as an erasure leaves it; the chain covers their digest only */
  readonly erased: boolean;
}

export interface VerifiedCommit {
  readonly state: ChainState;
  readonly entries: readonly VerifiedEntry[];
  /** the first one of each seq */
  readonly problems: readonly ChainProblem[];
}

/** Checks one commit against what came before. Never throws: what cannot even be hashed is a problem too. */
export function verifyCommit(
  before: ChainState,
  commit: StoredCommit,
  expectations: Expectations = {},
): VerifiedCommit {
  const steps = verifySteps(before, commit, expectations);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/** The same, a little at a time: a large commit takes a tenth of a second. */
export async function verifyInSlices(
  before: ChainState,
  commit: StoredCommit,
  expectations: Expectations = {},
  slices: Slices,
): Promise<VerifiedCommit> {
  const steps = verifySteps(before, commit, expectations);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
    await slices.next();
  }
}

function* verifySteps(
  before: ChainState,
  commit: StoredCommit,
  expectations: Expectations,
): Generator<undefined, VerifiedCommit, void> {
  const first = commit.entries[0];
  if (first === undefined) return { state: before, entries: [], problems: [emptyCommit(before)] };

  const found = new Map<number, ChainProblem>();
  const report: Report = (seq, message, code = 'store_diverged') => {
    if (!found.has(seq)) found.set(seq, { code, seq, message });
  };
  let state = before;
  const entries: VerifiedEntry[] = [];
  for (const stored of commit.entries) {
    const body = verifyEntry(state, stored, first.entry, report);
    if (stored.entry.kind === 'journal.adopt') verifyAdoption(state, stored.entry, body, report);
    state = verifyGenesis(state, stored.entry, body, { expectations, report });
    const erased = stored.salt === undefined && stored.body === undefined;
    entries.push({ entry: stored.entry, body, erased });
    state = advance(state, stored.entry, found.has(stored.entry.seq));
    yield;
  }
  if (verifyComplete(commit, before, { found, report })) verifySignatures(state, commit.entries, report);
  return { state, entries, problems: [...found.values()].toSorted((a, b) => a.seq - b.seq) };
}

type Report = (seq: number, message: string, code?: ChainProblem['code']) => void;

function emptyCommit(state: ChainState): ChainProblem {
  return { code: 'store_diverged', seq: state.position.seq + 1, message: 'a commit has no entries' };
}

/** @returns the body, or undefined when it was erased or is not sound */
function verifyEntry(
  state: ChainState,
  stored: StoredEntry,
  first: JournalEntry,
  report: Report,
): JsonObject | undefined {
  const { entry } = stored;
  const problem = (message: string, code?: ChainProblem['code']): void => report(entry.seq, message, code);
  const follows = verifyPlace(state, entry, report);
  if (entry.v !== 1) problem('the form of the entry is newer than this program', 'journal_too_new');
  else if (recompute(entry) !== entry.digest) problem('the entry does not match its digest');
  if (follows && entry.previous !== state.position.digest && entry.previous !== state.recomputed) {
    problem('the entry is not chained to the one before');
  }
  const { id, count, index } = entry.commit;
  if (id !== first.commit.id || count !== first.commit.count) problem('the entry is of another commit');
  if (index - first.commit.index !== entry.seq - first.seq)
    problem('the entry has another place in its commit');
  if (!isTimestamp(entry.at) || entry.at < state.at) problem('the time of the entry runs backwards');
  if (!isEntryKind(entry.kind)) problem('the kind of the entry is not known', 'journal_too_new');
  else if (entry.schema !== ENTRY_KINDS[entry.kind]) problem('the schema is not known', 'journal_too_new');
  return verifyBody(stored, problem);
}

/** @returns whether the entry before is the one that this state knows */
function verifyPlace({ position }: ChainState, entry: JournalEntry, report: Report): boolean {
  const expected = position.seq + 1;
  if (entry.seq > expected) report(expected, gapMessage(expected, entry.seq - 1));
  if (entry.seq < expected) report(entry.seq, 'the entry stands after a later one');
  const begins = beginsEpoch({ position }, entry);
  if (begins ? !isLaterEpoch(entry, position) : entry.epoch !== position.epoch)
    report(entry.seq, 'the entry is of another epoch');
  return entry.seq === expected;
}

/** Not always the next one: the numbers of adoptions that were lost are not used again. */
function isLaterEpoch({ epoch }: JournalEntry, position: Position): boolean {
  return Number.isSafeInteger(epoch) && epoch > position.epoch;
}

function beginsEpoch({ position }: Pick<ChainState, 'position'>, { kind, commit }: JournalEntry): boolean {
  return kind === 'journal.adopt' && commit.index === 0 && position.seq > 0;
}

/** It says which head it adopts, so that its signature covers that: nothing can be slipped in before it. */
function verifyAdoption(
  { position }: ChainState,
  entry: JournalEntry,
  body: JsonObject | undefined,
  report: Report,
): void {
  if (!beginsEpoch({ position }, entry)) report(entry.seq, 'an adoption is the first entry of a commit only');
  if (body === undefined) return;
  const adoption = parseAdoption(body);
  if (adoption === undefined) report(entry.seq, 'the body is not that of an adoption');
  else if (!samePosition(adoption.base, position)) report(entry.seq, 'the adoption is of another head');
}

function gapMessage(from: number, to: number): string {
  return from === to ? 'the entry is missing' : `the entries up to seq ${to} are missing`;
}

function recompute(entry: JournalEntry): Digest | undefined {
  try {
    return entryDigest(entry);
  } catch {
    return undefined;
  }
}

const TIMESTAMP = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

function isTimestamp(at: string): boolean {
  return TIMESTAMP.test(at) && !Number.isNaN(Date.parse(at));
}

interface GenesisCheck {
  readonly expectations: Expectations;
  readonly report: Report;
}

/** Entry 1 and only entry 1 is genesis; it brings the keys that all signatures, its own included, are checked with. */
function verifyGenesis(
  state: ChainState,
  entry: JournalEntry,
  body: JsonObject | undefined,
  { expectations, report }: GenesisCheck,
): ChainState {
  const problem = (message: string, code: ChainProblem['code'] = 'store_mismatch'): void =>
    report(entry.seq, message, code);
  if (entry.seq !== 1 || state.position.seq !== 0) {
    if (entry.kind === 'journal.genesis') problem('genesis is the first entry only', 'store_diverged');
    return state;
  }
  if (expectations.genesis !== undefined && expectations.genesis !== entry.digest) {
    problem('genesis is not the pinned one');
  }
  const genesis = body === undefined ? undefined : parseGenesis(body);
  if (entry.kind !== 'journal.genesis' || genesis === undefined) {
    problem('the journal does not begin with a genesis');
    return state;
  }
  if (genesis.epoch !== entry.epoch) problem('genesis states another epoch');
  const { instance = genesis.instance, environment = genesis.environment } = expectations;
  if (instance !== genesis.instance) problem('the journal belongs to another instance');
  if (environment !== genesis.environment) problem('the journal belongs to another environment');
  return { ...state, genesis, keys: genesisKeys(genesis) };
}

/** After a broken entry both its stated and its real digest count as known, so that the next one is not blamed. */
function advance(state: ChainState, entry: JournalEntry, broken: boolean): ChainState {
  const recomputed = broken ? recompute(entry) : undefined;
  const { epoch } = state.position;
  const begun = isLaterEpoch(entry, state.position) ? entry.epoch : epoch + 1;
  return {
    genesis: state.genesis,
    keys: state.keys,
    position: {
      epoch: beginsEpoch(state, entry) ? begun : epoch,
      seq: entry.seq,
      digest: entry.digest,
    },
    at: broken ? state.at : entry.at,
    ...(recomputed === undefined ? {} : { recomputed }),
  };
}

interface CompletenessCheck {
  readonly found: ReadonlyMap<number, ChainProblem>;
  readonly report: Report;
}

/**
 * A commit starts at index 0 and has as many entries as it says.
 *
 * @returns whether its end, which the signature covers, is there
 */
function verifyComplete(
  commit: StoredCommit,
  before: ChainState,
  { found, report }: CompletenessCheck,
): boolean {
  const first = commit.entries[0]?.entry;
  const last = commit.entries.at(-1)?.entry;
  if (first === undefined || last === undefined) return false;
  const afterGap = first.seq !== before.position.seq + 1;
  if (first.commit.index !== 0 && !afterGap) report(first.seq, 'the entry is not the first of its commit');
  if (first.commit.id !== commit.id) report(first.seq, 'the entry is of another commit');
  if (last.commit.index === last.commit.count - 1 || found.has(last.seq)) return true;
  report(last.seq + 1, 'the rest of a commit is missing');
  return false;
}

/** The signature covers the digest of the last entry, and through the chain everything before it. */
function verifySignatures(state: ChainState, entries: readonly StoredEntry[], report: Report): void {
  const known = new Map<string, boolean>();
  const bytes = [state.position.digest, state.recomputed].flatMap((digest) =>
    digest === undefined ? [] : [signedBytes(digest)],
  );
  for (const { entry } of entries) {
    const good = known.get(entry.signature) ?? bytes.some((b) => isSignedBy(state.keys, b, entry.signature));
    known.set(entry.signature, good);
    if (!good) report(entry.seq, 'the signature is not that of a key of this journal');
  }
}
