/** The main thread's end of the SQLite worker: each call has a deadline, and a worker that died is started again. */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Failure } from '../core/failure.ts';
import type { Logger } from '../telemetry/logger.ts';
import {
  type CallName,
  type Calls,
  type Message,
  monotonicMs,
  type Request,
  type SentFailure,
  type WorkerSettings,
} from './sqlite-protocol.ts';

export interface SqliteClient {
  /** @throws Failure of the call; store_unavailable when there is no answer in time, or too many calls wait */
  call<N extends CallName>(
    name: N,
    args: Calls[N]['args'],
    transfer?: readonly ArrayBuffer[],
  ): Promise<Calls[N]['result']>;
  close(): Promise<void>;
}

export interface SqliteClientOptions {
  readonly settings: WorkerSettings;
  readonly logger: Logger;
  /** another process has written */
  readonly onHint: () => void;
  /** a worker is there, the first or another one after it died */
  readonly onOpened: (client: SqliteClient) => void;
  /** another worker that speaks the protocol; default `sqlite-worker` beside this file */
  readonly workerFile?: URL;
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (failure: Failure) => void;
  readonly timer: NodeJS.Timeout;
}

const MAX_WAITING = 1024;
const RESTART_PAUSE_MS = 1000;
/** `.ts` in a checkout, `.js` where it was built */
const WORKER_FILE = new URL(`./sqlite-worker${extname(import.meta.url)}`, import.meta.url);

/** @throws Failure store_mismatch, journal_too_new, store_unavailable  when the file cannot be opened */
export async function startSqliteClient(options: SqliteClientOptions): Promise<SqliteClient> {
  const client = new Client(options);
  await client.open();
  return client;
}

class Client implements SqliteClient {
  readonly #options: SqliteClientOptions;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #startedAtMs = Number.NEGATIVE_INFINITY;
  #lastId = 0;
  #closed = false;

  constructor(options: SqliteClientOptions) {
    this.#options = options;
  }

  /** Resolves when the database is open. Calls that come earlier wait in the port of the worker. */
  async open(): Promise<void> {
    const { settings, logger, workerFile = WORKER_FILE } = this.#options;
    const worker = new Worker(workerFile, { workerData: settings, name: 'sqlite', execArgv: [] });
    this.#worker = worker;
    this.#startedAtMs = monotonicMs();
    const opened = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => opened.reject(unavailable('the store was not opened in time')),
      settings.options.callTimeoutMs,
    );
    worker.on('message', (message: Message) => {
      if (message.type === 'opened') opened.resolve();
      else if (message.type === 'not_opened') opened.reject(toFailure(message.failure));
      else this.#receive(message);
    });
    worker.on('error', (error) => logger.error({ error }, 'the thread of the store failed'));
    worker.on('exit', () => {
      opened.reject(unavailable('the thread of the store has ended'));
      this.#lost(worker);
    });
    try {
      await opened.promise;
      this.#options.onOpened(this);
    } catch (error) {
      this.#lost(worker);
      await worker.terminate();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  call<N extends CallName>(
    name: N,
    args: Calls[N]['args'],
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<Calls[N]['result']> {
    const timeoutMs = this.#options.settings.options.callTimeoutMs;
    return new Promise((resolve, reject) => {
      const worker = this.#closed ? undefined : this.#running();
      if (worker === undefined || this.#waiting.size >= MAX_WAITING) {
        reject(
          unavailable(worker === undefined ? 'the store is not open' : 'too many calls wait for the store'),
        );
        return;
      }
      this.#lastId += 1;
      const id = this.#lastId;
      const timer = setTimeout(() => {
        this.#take(id)?.reject(unavailable('the store did not answer in time'));
      }, timeoutMs);
      // the worker answers each call with the result of its own name
      const settle = resolve as (result: unknown) => void;
      this.#waiting.set(id, { resolve: settle, reject, timer });
      const call = { name, ...args } as Request['call'];
      worker.postMessage({ id, deadlineMs: monotonicMs() + timeoutMs, call } satisfies Request, [
        ...transfer,
      ]);
    });
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    if (this.#closed || worker === undefined) return;
    await this.call('close', {}).catch((error: unknown) => {
      this.#options.logger.warn({ error }, 'the store was not closed cleanly');
    });
    this.#closed = true;
    await worker.terminate();
  }

  /** Started again at most once a second: a thread that dies at once must not become a busy loop. */
  #running(): Worker | undefined {
    if (this.#worker !== undefined) return this.#worker;
    if (monotonicMs() - this.#startedAtMs < RESTART_PAUSE_MS) return undefined;
    this.open().catch((error: unknown) => {
      this.#options.logger.error({ error }, 'the store could not be opened again');
    });
    return this.#worker;
  }

  #receive(message: Exclude<Message, { type: 'opened' | 'not_opened' }>): void {
    switch (message.type) {
      case 'result':
        this.#take(message.id)?.resolve(message.result);
        return;
      case 'failure':
        this.#options.logger.debug({ failure: message.failure }, 'a call of the store failed');
        this.#take(message.id)?.reject(toFailure(message.failure));
        return;
      case 'hint':
        this.#options.onHint();
        return;
      case 'replaced':
        this.#options.logger.error({}, 'the file of the store was moved away or replaced under this process');
        return;
      default:
        message satisfies never;
    }
  }

  /** @returns undefined when its deadline has passed */
  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(waiting?.timer);
    return waiting;
  }

  #lost(worker: Worker): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    for (const id of this.#waiting.keys()) {
      this.#take(id)?.reject(unavailable('the thread of the store has ended'));
    }
  }
}

function unavailable(detail: string): Failure {
  return new Failure('store_unavailable', detail);
}

function toFailure({ code, detail, cause }: SentFailure): Failure {
  return new Failure(code, detail, { cause });
}
