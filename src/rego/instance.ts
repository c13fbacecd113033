import { readFileSync } from 'node:fs';
import { brotliDecompressSync } from 'node:zlib';
import { sha256 } from '../core/digest.ts';
import { ARTEFACT } from './artefact.ts';
import { limitMemory, PAGE_BYTES } from './memory-limit.ts';
import { createWasi } from './wasi.ts';

export interface Instance {
  /**
   * @param request  JSON
   * @returns JSON
   * @throws Error  when Go's runtime gave up or the stack overflowed: the instance is then of no use any more
   */
  call(request: string): string;
}

interface Exports {
  readonly memory: WebAssembly.Memory;
  _initialize(): void;
  alloc(size: number): number;
  handle(size: number): bigint;
}

/**
 * Reads, verifies and starts the toolchain: about 0.4 s of this thread.
 *
 * @throws Error  when the file is not the one that was committed
 */
export function startInstance(artefact: URL, maxMemoryMiB: number): Instance {
  const compressed = readFileSync(artefact);
  if (sha256(compressed) !== ARTEFACT.compressed)
    throw new Error('the toolchain is not the one that was built');
  const wasm = brotliDecompressSync(compressed, { maxOutputLength: ARTEFACT.wasmBytes });
  const module = new WebAssembly.Module(limitMemory(wasm, (maxMemoryMiB * 1_048_576) / PAGE_BYTES));
  const wasi = createWasi(() => go.memory);
  const instance = new WebAssembly.Instance(module, { wasi_snapshot_preview1: wasi.imports });
  const go = instance.exports as unknown as Exports;
  go._initialize();
  return {
    call(request) {
      try {
        const bytes = Buffer.from(request);
        const address = go.alloc(bytes.length) >>> 0;
        new Uint8Array(go.memory.buffer).set(bytes, address);
        const response = go.handle(bytes.length);
        const length = Number(BigInt.asUintN(32, response));
        return Buffer.from(go.memory.buffer, Number(BigInt.asUintN(64, response) >> 32n), length).toString();
      } catch (thrown) {
        throw new Error(`the toolchain gave up: ${wasi.lastWords()}`, { cause: thrown });
      }
    },
  };
}
