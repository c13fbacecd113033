import { parentPort, workerData } from 'node:worker_threads';
import { loadPolicy } from '@open-policy-agent/opa-wasm';
import type { Json } from '../core/json.ts';
import { createOfflineBuiltins } from './all-builtins.ts';
import { createEvaluator } from './evaluator.ts';
import { meterModule } from './metering.ts';
import type { SmokeAnswer, SmokeReport, SmokeRequest } from './smoke.ts';
import { type Host, runCases } from './smoke-cases.ts';

const PAGES_PER_MIB = 16;

parentPort?.postMessage(await answer(workerData as SmokeRequest));

async function answer(request: SmokeRequest): Promise<SmokeAnswer> {
  const metered = meter(request.wasm);
  return 'refusal' in metered ? metered : run(request, metered.wasm);
}

function meter(wasm: Uint8Array): { readonly wasm: Uint8Array<ArrayBuffer> } | { readonly refusal: string } {
  try {
    return { wasm: meterModule(wasm) };
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    return { refusal: `The compiled policy cannot be metered: ${why}` };
  }
}

async function run(
  { wasm, source, maxMemoryMiB, maxUnits, maxToolchainMiB }: SmokeRequest,
  metered: Uint8Array<ArrayBuffer>,
): Promise<SmokeReport> {
  const data = encode(source.data);
  // a clock that stands still: cases that fail never use up the time that failures may take
  const builtins = createOfflineBuiltins({ maxToolchainMiB });
  const options = { data, maxMemoryMiB, maxUnits, builtins, now: () => 0 };
  const evaluator = createEvaluator(new WebAssembly.Module(metered), options);
  const ours: Host = (entrypoint, input) => {
    const evaluation = evaluator.evaluate(entrypoint, encode(input));
    return evaluation.defined ? evaluation.value : undefined;
  };
  const theirs =
    evaluator.builtins.length === 0
      ? await startSecondHost(wasm, source.data, maxMemoryMiB * PAGES_PER_MIB)
      : undefined;
  const units: number[] = [];
  const issues = runCases(source, { ours, theirs }, () => units.push(evaluator.lastCost().units));
  return { metered, abi: evaluator.abi, units, issues, hosts: theirs === undefined ? 1 : 2 };
}

async function startSecondHost(wasm: Uint8Array, data: object, pages: number): Promise<Host> {
  const module = new WebAssembly.Module(Buffer.from(wasm));
  const policy = await loadPolicy(module, { initial: Math.min(pages, 256), maximum: pages });
  policy.setData(toArrayBuffer(encode(data)));
  return (entrypoint, input) => {
    const results = policy.evaluate(toArrayBuffer(encode(input)), entrypoint) as readonly { result: Json }[];
    return results[0]?.result;
  };
}

function encode(value: Json | object): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** The second host takes no other form of bytes for JSON. */
function toArrayBuffer(bytes: Uint8Array<ArrayBuffer>): ArrayBuffer {
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
}
