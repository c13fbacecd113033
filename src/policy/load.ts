/** From a release to a running policy: read, verify, compile, start, warm. */
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { Blobs } from '../journal/journal.ts';
import { createEvaluator, type Evaluation, type Evaluator } from './evaluator.ts';
import { type CompleteSource, decodeSource } from './source.ts';
import type { PolicyView, RecordedRelease } from './state.ts';

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
   * @throws Failure policy_failed
   */
  evaluate(entrypoint: string, input: Uint8Array): Evaluation;
}

const WARM_EVALUATIONS = 16;

/**
 * The artefact that the release names is run, and no other: `Blobs` verifies the digest of what it gives.
 *
 * @throws Failure policy_not_loaded  the artefact cannot be run; store_unavailable, store_mismatch, not_found
 */
export async function loadRelease(
  release: RecordedRelease,
  deps: { readonly view: PolicyView; readonly blobs: Blobs; readonly maxMemoryMiB: number },
): Promise<ActivePolicy> {
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
  const evaluator = createEvaluator(await compile(artefact), { data, maxMemoryMiB: deps.maxMemoryMiB });
  warm(evaluator, source);
  return {
    name,
    revision,
    seq,
    entrypoints: evaluator.entrypoints,
    evaluate: (entrypoint, input) => evaluator.evaluate(entrypoint, input),
  };
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
