/**
 * One worker, one call at a time, a bounded queue behind it. A call that is not answered in time is ended by ending
 * the worker; the next call starts another.
 */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Failure } from '../core/failure.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Answer } from './messages.ts';
import type { RegoOptions } from './options.ts';

/** Deep policies need more than a thread has by default; with less OPA's own limits are not reached. */
const STACK_MIB = 64;

interface Call {
  readonly request: object;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (failure: Failure) => void;
}

export interface ToolchainWorker {
  /**
   * @throws Failure deadline_exceeded  the time limit, or the signal; overloaded  the queue is full;
   *         internal  the toolchain gave up (out of memory, stack overflow)
   */
  call(request: object, signal?: AbortSignal): Promise<Answer>;
  /** how often a worker was started, and how many calls wait for the one in progress */
  state(): { readonly starts: number; readonly waiting: number };
  /** Ends the worker; calls that wait are rejected, later ones too. */
  close(): Promise<void>;
}

export function createToolchainWorker(options: RegoOptions, artefact: URL, logger: Logger): ToolchainWorker {
  let worker: Worker | undefined;
  let current: { readonly call: Call; readonly end: () => void } | undefined;
  let closed = false;
  let starts = 0;
  const queue: Call[] = [];

  function start(): Worker {
    starts += 1;
    const file = new URL(`./worker${extname(import.meta.filename)}`, import.meta.url);
    const started = new Worker(file, {
      workerData: { artefact: artefact.href, maxMemoryMiB: options.maxMemoryMiB },
      resourceLimits: { stackSizeMb: STACK_MIB },
      execArgv: [],
      env: {},
    });
    started.on('message', (answer: Answer) => settle(started, (call) => call.resolve(answer)));
    started.on('error', (thrown) => lose(started, thrown));
    started.on('exit', () => lose(started, undefined));
    return started;
  }

  function lose(lost: Worker, cause: unknown): void {
    if (worker !== lost) return;
    worker = undefined;
    const failure = new Failure('internal', 'The Rego toolchain gave up', { cause });
    logger.warn({ err: failure }, 'the worker of the Rego toolchain ended');
    settle(undefined, (call) => call.reject(failure));
  }

  /** @param by  the worker that answers; a late answer of one that was ended counts for nothing */
  function settle(by: Worker | undefined, answer: (call: Call) => void): void {
    if (by !== worker || current === undefined) return;
    const { call, end } = current;
    current = undefined;
    end();
    answer(call);
    next();
  }

  function endCurrent(detail: string): void {
    const ended = worker;
    worker = undefined;
    void ended?.terminate();
    logger.warn({ detail }, 'a call of the Rego toolchain was ended');
    settle(undefined, (call) => call.reject(new Failure('deadline_exceeded', detail)));
  }

  function next(): void {
    const call = current === undefined ? queue.shift() : undefined;
    if (call === undefined) {
      if (current === undefined) worker?.unref();
      return;
    }
    const timer = setTimeout(
      () => endCurrent(`The Rego toolchain took longer than ${options.callTimeoutMs} ms`),
      options.callTimeoutMs,
    );
    const onAbort = (): void => endCurrent('The call was abandoned');
    call.signal?.addEventListener('abort', onAbort, { once: true });
    current = {
      call,
      end: () => {
        clearTimeout(timer);
        call.signal?.removeEventListener('abort', onAbort);
      },
    };
    worker ??= start();
    worker.ref();
    worker.postMessage(call.request);
  }

  function enqueue(call: Call): void {
    queue.push(call);
    call.signal?.addEventListener(
      'abort',
      () => {
        const index = queue.indexOf(call);
        if (index === -1) return;
        queue.splice(index, 1);
        call.reject(new Failure('deadline_exceeded', 'The call was abandoned'));
      },
      { once: true },
    );
  }

  return {
    call(request, signal) {
      return new Promise((resolve, reject) => {
        if (closed) throw new Failure('internal', 'The Rego toolchain is closed');
        if (signal?.aborted) throw new Failure('deadline_exceeded', 'The call was abandoned');
        if (current !== undefined && queue.length >= options.maxQueued) {
          throw new Failure('overloaded', 'Too many policies are being compiled');
        }
        enqueue({ request, signal, resolve, reject });
        next();
      });
    },
    state: () => ({ starts, waiting: queue.length }),
    async close() {
      closed = true;
      const ended = worker;
      worker = undefined;
      const waiting = queue.splice(0);
      settle(undefined, (call) => waiting.unshift(call));
      for (const call of waiting) call.reject(new Failure('internal', 'The Rego toolchain is closed'));
      await ended?.terminate();
    },
  };
}
