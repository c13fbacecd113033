/** From a release to a running policy: read, verify, compile, start, warm; an older artefact is metered first. */

import type { Clock } from '../core/clock.ts';
import type { Digest } from '../core/digest.ts';
import { Failure, type FailureCode } from '../core/failure.ts';
import { type InputReads, toInputReads } from '../core/input-reads.ts';
import type { Blobs } from '../journal/journal.ts';
import type { Evaluation, EvaluationCost } from './evaluator.ts';
import { meteringOf } from './metering.ts';
import { createRunner, type Runner, type RunnerDeps } from './runner.ts';
import { type CompleteSource, decodeSource } from './source.ts';
import type { PolicyView, RecordedRelease } from './state.ts';
import { runInWorker } from './worker-task.ts';

/** The running revision of one policy. */
export interface ActivePolicy {
  readonly name: string;
  readonly revision: Digest;
  readonly entrypoints: readonly string[];
  /** what of its input it can read */
  readonly reads: InputReads;
  /** of the release */
  readonly seq: number;
  /** see runner.ts */
  readonly inThread: boolean;
  /**
   * At once, or a promise: by a thread, or after the network was asked.
   *
   * @param entrypoint  for example `envoy/authz/allow`
   * @param input  JSON, as UTF-8
   * @param deadlineMs  milliseconds since the epoch; looked at where a thread evaluates or the network is asked
   * @param onCost  is told what it has cost, also when it throws
   * @throws Failure policy_failed, overloaded; deadline_exceeded  from a thread or the network
   */
  evaluate(
    entrypoint: string,
    input: Uint8Array,
    deadlineMs: number,
    onCost?: (cost: EvaluationCost) => void,
  ): Evaluation | Promise<Evaluation>;
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
/** The threads start with it, and each brings OPA's built-in functions. */
const WARM_TIMEOUT_MS = 5_000;
/** A Check meets them too, and is denied. */
const TOLERATED_WHEN_WARMED: readonly FailureCode[] = ['policy_failed', 'deadline_exceeded'];

export interface LoadDeps extends RunnerDeps {
  readonly view: PolicyView;
  readonly blobs: Blobs;
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
  const runner = createRunner(compiled.module, data, deps);
  await warm(runner, source, deps.clock);
  const { entrypoints, inThread } = runner;
  return {
    name,
    revision,
    seq,
    entrypoints,
    reads: toInputReads(published.body.inputs),
    inThread,
    evaluate: (entrypoint, input, deadlineMs, onCost) =>
      runner.run(entrypoint, input, deadlineMs, (cost) => {
        deps.observe(cost);
        onCost?.(cost);
      }),
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
async function warm(runner: Runner, { smoke, entrypoints }: CompleteSource, clock: Clock): Promise<void> {
  const [first = ''] = entrypoints;
  const cases = smoke.length > 0 ? smoke.slice(0, WARM_EVALUATIONS) : [{ input: {} }];
  const deadlineMs = clock.nowMs() + WARM_TIMEOUT_MS;
  for (const { input } of cases) {
    try {
      await runner.run(first, encode(input), deadlineMs, undefined);
    } catch (thrown) {
      if (!TOLERATED_WHEN_WARMED.includes(Failure.from(thrown).code)) throw thrown;
    }
  }
}

function encode(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
