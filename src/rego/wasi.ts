/**
 * As much of WASI preview 1 as Go's runtime needs to start: clocks, random numbers, sleep. There are no files, no
 * arguments, no environment and no network; what is written to standard error is kept for the log.
 *
 * @see https://github.com/WebAssembly/WASI, "wasi_snapshot_preview1"
 */
import { randomFillSync } from 'node:crypto';

const SUCCESS = 0;
const BAD_FILE = 8;
const NOT_IMPLEMENTED = 52;
const STDERR = 2;
const REALTIME = 0;
const KEPT_CHARACTERS = 512;

export interface Wasi {
  readonly imports: WebAssembly.ModuleImports;
  /** the beginning of what was written to standard error: why Go's runtime gave up */
  lastWords(): string;
}

/** @param memory  read at each call: growing the memory replaces its buffer */
export function createWasi(memory: () => WebAssembly.Memory): Wasi {
  let stderr = '';
  const view = (): DataView => new DataView(memory().buffer);
  const bytes = (address: number, length: number): Uint8Array<ArrayBuffer> =>
    new Uint8Array(memory().buffer as ArrayBuffer, address, length);

  const nothing = (countAddress: number, sizeAddress: number): number => {
    view().setUint32(countAddress, 0, true);
    view().setUint32(sizeAddress, 0, true);
    return SUCCESS;
  };
  const known: Record<string, (...args: never[]) => number> = {
    args_sizes_get: nothing,
    environ_sizes_get: nothing,
    args_get: () => SUCCESS,
    environ_get: () => SUCCESS,
    sched_yield: () => SUCCESS,
    clock_time_get(clock: number, _precision: bigint, address: number) {
      const now = clock === REALTIME ? BigInt(Date.now()) * 1_000_000n : process.hrtime.bigint();
      view().setBigUint64(address, now, true);
      return SUCCESS;
    },
    random_get(address: number, length: number) {
      randomFillSync(bytes(address, length));
      return SUCCESS;
    },
    fd_write(file: number, vectors: number, count: number, writtenAddress: number) {
      let written = 0;
      for (let index = 0; index < count; index += 1) {
        const length = view().getUint32(vectors + 8 * index + 4, true);
        if (file === STDERR) {
          const text = Buffer.from(bytes(view().getUint32(vectors + 8 * index, true), length)).toString();
          stderr = (stderr + text).slice(0, KEPT_CHARACTERS);
        }
        written += length;
      }
      view().setUint32(writtenAddress, written, true);
      return SUCCESS;
    },
    /** Go's only use is to sleep until its next timer: one subscription to a clock, relative. */
    poll_oneoff(subscription: number, event: number, _count: number, eventsAddress: number) {
      const timeoutMs = Number(view().getBigUint64(subscription + 24, true) / 1_000_000n);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, timeoutMs);
      bytes(event, 32).fill(0);
      view().setBigUint64(event, view().getBigUint64(subscription, true), true);
      view().setUint32(eventsAddress, 1, true);
      return SUCCESS;
    },
    proc_exit(code: number) {
      throw new Error(`the Go runtime ended with ${code}`);
    },
  };
  const imports = new Proxy<WebAssembly.ModuleImports>(known as WebAssembly.ModuleImports, {
    get: (target, name: string) =>
      target[name] ?? (() => (name.startsWith('fd_') ? BAD_FILE : NOT_IMPLEMENTED)),
  });
  return { imports, lastWords: () => stderr };
}
