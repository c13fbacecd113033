/** The thread that owns the database: a call at a time, so that no fsync ever stands in the way of a Check. */
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../core/clock.ts';
import { Failure, type FailureCode } from '../core/failure.ts';
import { jittered, systemRandom } from '../journal/random.ts';
import { SQLITE_CORRUPT, SQLITE_NOTADB, sqliteCode } from './sqlite-code.ts';
import { SqliteDatabase } from './sqlite-database.ts';
import { identityOf } from './sqlite-place.ts';
import {
  type Call,
  type Message,
  monotonicMs,
  type Request,
  type SentFailure,
  type WorkerSettings,
} from './sqlite-protocol.ts';
import { SqliteShared } from './sqlite-shared.ts';

/** Calls of the file beside the store; whatever becomes of that, the journal is not concerned. */
const SHARED_CALLS = ['claim', 'add', 'putShared', 'removeShared', 'listShared'] as const;
type SharedCall = Extract<Call, { name: (typeof SHARED_CALLS)[number] }>;
type StoreCall = Exclude<Call, SharedCall | { name: 'watch' | 'close' }>;

const settings = workerData as WorkerSettings;
const { path } = settings.options;
let database: SqliteDatabase | undefined;
let sharedState: SqliteShared | undefined;
let watch: NodeJS.Timeout | undefined;

const failure = open();
if (failure === undefined) {
  parentPort?.on('message', answer);
  send({ type: 'opened' });
} else {
  send({ type: 'not_opened', failure });
}

/** @returns why nothing can be done with the file; where it may be away, the next call tries again */
function open(): SentFailure | undefined {
  try {
    database = new SqliteDatabase(settings);
    return undefined;
  } catch (error) {
    const sent = toSentFailure(error);
    const isAway = identityOf(path) === undefined || sent.code === 'store_unavailable';
    return settings.mayBeAway === true && isAway ? undefined : sent;
  }
}

function answer({ id, deadlineMs, call }: Request): void {
  try {
    if (monotonicMs() > deadlineMs) throw new Failure('store_unavailable', 'the store has too much to do');
    send({ type: 'result', id, result: run(call) });
  } catch (error) {
    send({ type: 'failure', id, failure: toSentFailure(error) });
  }
  if (call.name === 'close') parentPort?.close();
}

function run(call: Call): unknown {
  if (call.name === 'watch') return watchStore(call.on);
  if (call.name === 'close') return close();
  return isSharedCall(call) ? runOnShared(shared(), call) : runInPlace(call);
}

function isSharedCall(call: SharedCall | StoreCall): call is SharedCall {
  return SHARED_CALLS.some((name) => name === call.name);
}

function watchStore(on: boolean): void {
  clearTimeout(watch);
  if (on) lookLater(readVersion());
}

function close(): void {
  clearTimeout(watch);
  sharedState?.close();
  database?.close();
}

/**
 * On the file that is at the path now. What was written into one that has left it meanwhile may be lost, so nobody
 * may take it for done.
 */
function runInPlace(call: StoreCall): unknown {
  const opened = inPlace();
  const result = runOnStore(opened, call);
  if (!opened.isInPlace())
    throw new Failure('store_unavailable', 'the file of the store was replaced meanwhile');
  return result;
}

/** @throws Failure store_unavailable  when there is no file; store_mismatch, journal_too_new as the first opening */
function inPlace(): SqliteDatabase {
  if (database !== undefined && !database.isInPlace()) {
    const left = database;
    database = undefined;
    send({ type: 'replaced' });
    left.leave();
  }
  if (database === undefined && identityOf(path) === undefined) {
    throw new Failure('store_unavailable', 'the file of the store is gone');
  }
  database ??= new SqliteDatabase({ ...settings, create: false });
  return database;
}

function runOnStore(opened: SqliteDatabase, call: StoreCall): unknown {
  switch (call.name) {
    case 'append':
      return opened.append(call.commit, call.expectedHead);
    case 'find':
      return opened.find(call.id);
    case 'read':
      return opened.read(call.afterSeq, call.limit);
    case 'head':
      return opened.head();
    case 'base':
      return opened.base();
    case 'beginAfter':
      return opened.beginAfter(call.base);
    case 'putBlob':
      return opened.blobs.put(call.bytes);
    case 'getBlob':
      return opened.blobs.get(call.digest);
    case 'listOldBlobs':
      return opened.blobs.listOld(call.sinceMs, call.after, call.limit);
    case 'deleteOldBlobs':
      return opened.blobs.deleteOld(call.digests, call.sinceMs);
    case 'blobTime':
      return Date.now();
    case 'putSecret':
      return opened.secrets.put(call.secret, call.sealed);
    case 'getSecret':
      return opened.secrets.get(call.secret);
    case 'deleteSecret':
      return opened.secrets.delete(call.secret);
    case 'putCheckpoint':
      return opened.checkpoints.put(call.checkpoint);
    case 'latestCheckpoints':
      return opened.checkpoints.latest();
    case 'secretNames':
      return opened.secrets.names(call.after, call.limit);
    case 'diagnose':
      return opened.diagnose();
    default:
      return call satisfies never;
  }
}

function runOnShared(state: SqliteShared, call: SharedCall): unknown {
  switch (call.name) {
    case 'claim':
      return state.claim(call.key, call.ttlMs);
    case 'add':
      return state.add(call.key, call.windowMs, call.n);
    case 'putShared':
      return state.put(call.key, call.value, call.ttlMs);
    case 'removeShared':
      return state.remove(call.key);
    case 'listShared':
      return state.list(call.prefix);
    default:
      return call satisfies never;
  }
}

/** Made and opened with its first use: the journal is there also when the shared state is not. */
function shared(): SqliteShared {
  const { busyTimeoutMs } = settings.options;
  sharedState ??= new SqliteShared({
    path: `${path}-shared`,
    busyTimeoutMs,
    create: true,
    clock: systemClock,
  });
  return sharedState;
}

/** Reading the number costs a few microseconds; it says that something was written, not what. */
function lookLater(seen: string): void {
  watch = setTimeout(
    () => {
      const now = readVersion();
      if (now !== seen) send({ type: 'hint' });
      lookLater(now);
    },
    jittered(settings.options.watchMs, systemRandom),
  );
}

/** Another text than before when there may be something new; a look that fails must not end the thread. */
function readVersion(): string {
  try {
    return database?.isInPlace() === true ? `version ${database.dataVersion()}` : `file ${identityOf(path)}`;
  } catch {
    return 'unknown';
  }
}

function send(message: Message): void {
  parentPort?.postMessage(message);
}

function toSentFailure(error: unknown): SentFailure {
  const { code, detail } = Failure.from(error, codeOf(error));
  return { code, detail, cause: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

/** Everything else (BUSY, IOERR, FULL …) may pass. */
function codeOf(error: unknown): FailureCode {
  const code = sqliteCode(error);
  if (code === SQLITE_NOTADB) return 'store_mismatch';
  return code === SQLITE_CORRUPT ? 'store_diverged' : 'store_unavailable';
}
