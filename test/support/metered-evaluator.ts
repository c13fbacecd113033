import { createEvaluator, type Evaluator, type EvaluatorOptions } from '../../src/policy/evaluator.ts';
import { meterModule } from '../../src/policy/metering.ts';
import { DEFAULT_MAX_UNITS, type PolicyOptions } from '../../src/policy/options.ts';

export const POLICY_LIMITS: PolicyOptions = {
  maxMemoryMiB: 64,
  maxUnits: DEFAULT_MAX_UNITS,
  threads: 1,
  maxQueued: 16,
  maxToolchainMiB: 256,
};

export function meteredModule(wasm: Uint8Array): WebAssembly.Module {
  return new WebAssembly.Module(meterModule(wasm));
}

/** An evaluator for which no time passes, so that it never refuses for too many failures. */
export function anEvaluator(module: WebAssembly.Module, given: Partial<EvaluatorOptions> = {}): Evaluator {
  return createEvaluator(module, { data: Buffer.from('{}'), ...POLICY_LIMITS, now: () => 0, ...given });
}
