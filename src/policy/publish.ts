/**
 * From a policy's source to a revision that can be released, through every gate: parse, check, compile, tests, meter,
 * load, smoke cases. Nothing is stored and nothing is appended here.
 */
import { type Digest, sha256 } from '../core/digest.ts';
import { Failure, type FailureIssue } from '../core/failure.ts';
import type { Draft } from '../journal/journal.ts';
import type { TestCase } from '../rego/messages.ts';
import { TOOLCHAIN_NAME, type Toolchain, toFailureIssue } from '../rego/toolchain.ts';
import type { RevisionBody } from './bodies.ts';
import { HOST_BUILTINS, supportedBuiltins } from './builtins.ts';
import { METERING_VERSION } from './metering.ts';
import { DEFAULT_MAX_UNITS } from './options.ts';
import { runSmoke } from './smoke.ts';
import { encodeSource } from './source.ts';

export interface PublishDeps {
  readonly toolchain: Pick<Toolchain, 'compile' | 'test'>;
  readonly signal?: AbortSignal;
  /** of the instance that runs the smoke cases; default 64 */
  readonly maxMemoryMiB?: number;
  /** that each smoke case may cost; default as for the running policies */
  readonly maxUnits?: number;
  /** of OPA's own built-in functions there; default 256 */
  readonly maxToolchainMiB?: number;
  /** undefined: the network is not for policies */
  readonly httpSend?: unknown;
}

/** Both byte arrays belong into `Blobs` before `draft` is appended. */
export interface PreparedRevision {
  readonly revision: Digest;
  /** RFC 8785 of the complete source; its digest is the revision */
  readonly source: Uint8Array;
  /** what the compiler made, metered */
  readonly artefact: Uint8Array;
  readonly body: RevisionBody;
  /** of kind `policy.revision` */
  readonly draft: Draft;
}

const DEFAULT_MEMORY_MIB = 64;
const DEFAULT_TOOLCHAIN_MIB = 256;

/**
 * @param value  a PolicySource; its form is checked
 * @throws Failure policy_rejected  with issues that name file, line and column, or a JSON Pointer;
 *         deadline_exceeded, overloaded, internal
 */
export async function publishPolicy(
  policy: string,
  value: unknown,
  deps: PublishDeps,
): Promise<PreparedRevision> {
  const { toolchain, signal, maxMemoryMiB = DEFAULT_MEMORY_MIB, maxUnits = DEFAULT_MAX_UNITS } = deps;
  const { maxToolchainMiB = DEFAULT_TOOLCHAIN_MIB } = deps;
  const { source, bytes, revision } = encodeSource(value);
  const rego = { modules: source.modules, data: source.data, builtins: supportedBuiltins(deps) };
  const { entrypoints } = source;
  const compiled = await toolchain.compile({ ...rego, host: HOST_BUILTINS, entrypoints }, signal);
  const { tests } = await toolchain.test(rego, signal);
  reject('A test of the policy failed', tests.filter(hasFailed).map(toTestIssue));
  const smokeRequest = { wasm: compiled.wasm, source, maxMemoryMiB, maxUnits, maxToolchainMiB };
  const { metered, abi, units, issues } = await runSmoke(smokeRequest, signal);
  reject('A smoke case of the policy failed', issues);

  const body: RevisionBody = {
    policy,
    revision,
    source: revision,
    artefact: sha256(metered),
    entrypoints: [...compiled.entrypoints],
    toolchain: TOOLCHAIN_NAME,
    abi,
    tests: tests.length,
    metering: METERING_VERSION,
    smokeUnits: [...units],
    inputs: compiled.inputs.map((path) => [...path]),
    builtins: compiled.builtins.filter((each) => each.import !== undefined).map(({ name }) => name),
  };
  const draft: Draft = { kind: 'policy.revision', body };
  return { revision, source: bytes, artefact: metered, body, draft };
}

function reject(detail: string, issues: readonly FailureIssue[]): void {
  if (issues.length > 0) throw new Failure('policy_rejected', detail, { issues });
}

function hasFailed({ outcome }: TestCase): boolean {
  return outcome === 'fail' || outcome === 'error';
}

function toTestIssue({ name, file, row, col, outcome, error, output, failedCases }: TestCase): FailureIssue {
  const cases = failedCases === undefined ? '' : ` (${failedCases.join(', ')})`;
  const why = error === undefined ? '' : `: ${error.message}`;
  const printed = output === undefined ? '' : `; it printed ${JSON.stringify(output)}`;
  const place = error?.file === undefined ? { file, line: row, column: col } : {};
  const inside = error === undefined ? {} : toFailureIssue(error);
  const message = `${name} ${outcome === 'fail' ? 'failed' : 'ended with an error'}${cases}${why}${printed}`;
  return { ...inside, ...place, code: outcome === 'fail' ? 'test_failed' : 'test_error', message };
}
