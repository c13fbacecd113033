/** The thread that owns the database: a call at a time, so that no fsync ever stands in the way of a Check. */
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../core/clock.ts';
import { Failure, type FailureCode } from '../core/failure.ts';
import { jittered, systemRandom } from '../journal/random.ts';
import { SQLITE_CORRUPT, SQLITE_NOTADB, sqliteCode } from './sqlite-code.ts';
import { SqliteDatabase } from './sqlite-database.ts';
import {
  type Call,
  type Message,
  monotonicMs,
  type Request,
  type SentFailure,
  type WorkerSettings,
} from './sqlite-protocol.ts';
import { SqliteShared } from './sqlite-shared.ts';

const settings = workerData as WorkerSettings;
const database = open();
let sharedState: SqliteShared | undefined;
let watch: NodeJS.Timeout | undefined;

if (database !== undefined) {
  parentPort?.on('message', (request: Request) => answer(database, request));
  send({ type: 'opened' });
}

function open(): SqliteDatabase | undefined {
  try {
    return new SqliteDatabase(settings);
  } catch (error) {
    send({ type: 'not_opened', failure: toSentFailure(error) });
    return undefined;
  }
}

function answer(opened: SqliteDatabase, { id, deadlineMs, call }: Request): void {
  try {
    if (monotonicMs() > deadlineMs) throw new Failure('store_unavailable', 'the store has too much to do');
    send({ type: 'result', id, result: run(opened, call) });
  } catch (error) {
    send({ type: 'failure', id, failure: toSentFailure(error) });
  }
  if (call.name === 'close') parentPort?.close();
}

function run(opened: SqliteDatabase, call: Call): unknown {
  switch (call.name) {
    case 'append':
      return opened.append(call.commit, call.expectedHead);
    case 'find':
      return opened.find(call.id);
    case 'read':
      return opened.read(call.afterSeq, call.limit);
    case 'head':
      return opened.head();
    case 'putBlob':
      return opened.putBlob(call.bytes);
    case 'getBlob':
      return opened.getBlob(call.digest);
    case 'putSecret':
      return opened.secrets.put(call.secret, call.sealed);
    case 'getSecret':
      return opened.secrets.get(call.secret);
    case 'deleteSecret':
      return opened.secrets.delete(call.secret);
    case 'claim':
      return shared().claim(call.key, call.ttlMs);
    case 'add':
      return shared().add(call.key, call.windowMs, call.n);
    case 'putShared':
      return shared().put(call.key, call.value, call.ttlMs);
    case 'removeShared':
      return shared().remove(call.key);
    case 'listShared':
      return shared().list(call.prefix);
    case 'diagnose':
      return opened.diagnose();
    case 'watch':
      clearTimeout(watch);
      if (call.on) lookLater(opened, opened.dataVersion());
      return undefined;
    case 'close':
      clearTimeout(watch);
      sharedState?.close();
      return opened.close();
    default:
      return call satisfies never;
  }
}

/** Made and opened with its first use: the journal is there also when the shared state is not. */
function shared(): SqliteShared {
  const { path, busyTimeoutMs } = settings.options;
  sharedState ??= new SqliteShared({
    path: `${path}-shared`,
    busyTimeoutMs,
    create: true,
    clock: systemClock,
  });
  return sharedState;
}

/** Reading the number costs a few microseconds; it says that something was written, not what. */
function lookLater(opened: SqliteDatabase, seen: number): void {
  watch = setTimeout(
    () => {
      const now = readVersion(opened) ?? seen;
      if (now !== seen) send({ type: 'hint' });
      lookLater(opened, now);
    },
    jittered(settings.options.watchMs, systemRandom),
  );
}

/** A hint may be lost; a look that fails must not end the thread. */
function readVersion(opened: SqliteDatabase): number | undefined {
  try {
    return opened.dataVersion();
  } catch {
    return undefined;
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
