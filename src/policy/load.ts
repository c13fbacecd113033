/** From a release to a running policy: read, verify, compile, start, warm; an older artefact is metered first. */
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { Blobs } from '../journal/journal.ts';
import { createEvaluator, type Evaluation, type EvaluationCost, type Evaluator } from './evaluator.ts';
import { meteringOf } from './metering.ts';
import type { PolicyOptions } from './options.ts';
import { type CompleteSource, decodeSource } from './source.ts';
import type { PolicyView, RecordedRelease } from './state.ts';
import { runInWorker } from './worker-task.ts';

/** The running revision of one policy. */
export interface ActivePolicy {
  readonly name: string;
  readonly revision: Digest;
  readonly entrypoints: readonly string[];
  /** of the release */
  readonly seq: number;
  /**
   * @param entrypoint  for example `envoy/authz/allow`
   * @param input  JSON, as UTF-8
   * @throws Failure policy_failed, overloaded
   */
  evaluate(entrypoint: string, input: Uint8Array): Evaluation;
  /** of the last evaluation */
  lastCost(): EvaluationCost;
  /** for an evaluator of its own in another thread */
  readonly compiled: CompiledPolicy;
}

export interface CompiledPolicy {
  /** metered */
  readonly module: WebAssembly.Module;
  /** static data, a JSON object as UTF-8 */
  readonly data: Uint8Array;
  readonly maxMemoryMiB: number;
  readonly maxUnits: number;
}

const WARM_EVALUATIONS = 16;
const METERING_TIMEOUT_MS = 30_000;

export interface LoadDeps {
  readonly view: PolicyView;
  readonly blobs: Blobs;
  readonly options: PolicyOptions;
  /** is told of each evaluation but those that warm the policy */
  readonly observe: (cost: EvaluationCost) => void;
}

/**
 * The artefact that the release names is run, and no other: `Blobs` verifies the digest of what it gives.
 *
 * @throws Failure policy_not_loaded  the artefact cannot be run; store_unavailable, store_mismatch, not_found
 */
export async function loadRelease(release: RecordedRelease, deps: LoadDeps): Promise<ActivePolicy> {
  const { policy: name, revision, seq, body } = release;
  const published = deps.view.revisions(name).findLast((each) => each.revision === revision);
  if (published === undefined)
    throw new Failure('policy_not_loaded', `The revision of ${name} was never published`);
  const [artefact, sourceBytes] = await Promise.all([
    deps.blobs.get(body.artefact),
    deps.blobs.get(published.body.source),
  ]);
  const source = decodeSource(sourceBytes);
  const data = encode(source.data);
  const compiled: CompiledPolicy = { module: await compileMetered(artefact), data, ...deps.options };
  const evaluator = createEvaluator(compiled.module, { ...deps.options, data });
  warm(evaluator, source);
  return {
    name,
    revision,
    seq,
    entrypoints: evaluator.entrypoints,
    evaluate(entrypoint, input) {
      try {
        return evaluator.evaluate(entrypoint, input);
      } finally {
        deps.observe(evaluator.lastCost());
      }
    },
    lastCost: () => evaluator.lastCost(),
    compiled,
  };
}

async function compileMetered(artefact: Uint8Array): Promise<WebAssembly.Module> {
  const module = await compile(artefact);
  return meteringOf(module) === undefined ? compile(await meterApart(artefact)) : module;
}

/** It takes tens of milliseconds, and Checks are answered meanwhile. */
function meterApart(artefact: Uint8Array): Promise<Uint8Array> {
  return runInWorker({
    name: 'metering-worker',
    request: artefact,
    timeoutMs: METERING_TIMEOUT_MS,
    onTimeout: () => new Failure('policy_not_loaded', 'Metering the artefact took too long'),
    onError: (cause) => new Failure('policy_not_loaded', 'The artefact cannot be metered', { cause }),
  });
}

async function compile(artefact: Uint8Array): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(Buffer.from(artefact));
  } catch (cause) {
    throw new Failure('policy_not_loaded', 'The artefact is not a WebAssembly module', { cause });
  }
}

/** The first evaluations are slow; what they say was checked when the revision was published. */
function warm(evaluator: Evaluator, { smoke, entrypoints }: CompleteSource): void {
  const [first = ''] = entrypoints;
  const cases = smoke.length > 0 ? smoke.slice(0, WARM_EVALUATIONS) : [{ input: {} }];
  for (const each of cases) {
    try {
      evaluator.evaluate(first, encode(each.input));
    } catch (thrown) {
      if (Failure.from(thrown).code !== 'policy_failed') throw thrown;
    }
  }
}

function encode(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
