/**
 * OPA's compiler, test runner and evaluator behind a TypeScript interface. They run as WebAssembly in a worker of
 * their own, so a call never blocks this thread, has a deadline and can be killed.
 *
 * Left out for now: partial evaluation, which the same module can do.
 */
import { Failure, type FailureIssue } from '../core/failure.ts';
import type { JsonObject } from '../core/json.ts';
import { type Logger, silentLogger } from '../telemetry/logger.ts';
import { ARTEFACT } from './artefact.ts';
import type {
  DataFile,
  Dependencies,
  DepsRequest,
  FormatRequest,
  QueryAnswer,
  QueryRequest,
  Repeated,
  RepeatRequest,
} from './author-messages.ts';
import type { CallName, Calls } from './calls.ts';
import type {
  Compiled,
  CompileRequest,
  Evaluated,
  EvaluateRequest,
  RegoIssue,
  RegoSource,
  TestReport,
  TestRequest,
  ToolchainVersion,
} from './messages.ts';
import type { RegoOptions } from './options.ts';
import { createToolchainWorker } from './toolchain-worker.ts';

/**
 * Every method takes a signal that abandons the call, and throws
 *
 * - Failure policy_rejected with issues (file, line, column, code, message): the policy is wrong;
 * - Failure deadline_exceeded: the time limit or the signal; overloaded: too many calls wait;
 * - Failure internal: the toolchain itself failed.
 */
export interface Toolchain {
  /** Parses all modules, then type-checks them; type errors come only when there are no parse errors. */
  check(source: RegoSource, signal?: AbortSignal): Promise<void>;
  /** Checks, then compiles what is not a test. */
  compile(request: CompileRequest, signal?: AbortSignal): Promise<Compiled>;
  /** Runs `*_test.rego` with OPA's evaluator. A failed test is in the report, not a Failure. */
  test(request: TestRequest, signal?: AbortSignal): Promise<TestReport>;
  /** Evaluates an entrypoint once per input with OPA's own evaluator: what evaluation in WASM is compared with. */
  evaluate(request: EvaluateRequest, signal?: AbortSignal): Promise<readonly Evaluated[]>;
  version(signal?: AbortSignal): Promise<ToolchainVersion>;
  /** Finds unused variables and imports and the like, as `opa check --strict` does. */
  checkStrictly(source: RegoSource, signal?: AbortSignal): Promise<void>;
  /** @returns each module as `opa fmt` writes it */
  format(modules: FormatRequest['modules'], signal?: AbortSignal): Promise<FormatRequest['modules']>;
  /** Reads data files, JSON or YAML, each below the path of its folder, into one document. */
  mergeData(files: readonly DataFile[], signal?: AbortSignal): Promise<JsonObject>;
  deps(request: DepsRequest, signal?: AbortSignal): Promise<Dependencies>;
  /** Answers a query as `opa eval` does; an error of the evaluation is in the answer, not a Failure. */
  query(request: QueryRequest, signal?: AbortSignal): Promise<QueryAnswer>;
  /** Measures OPA's evaluator, as it is in the toolchain. */
  repeat(request: RepeatRequest, signal?: AbortSignal): Promise<Repeated>;
  /** how often its worker was started, and how many calls wait for the one in progress */
  state(): { readonly starts: number; readonly waiting: number };
  close(): Promise<void>;
}

/** What a release names as its toolchain: the compiler's version and the digest of the artefact. */
export const TOOLCHAIN_NAME = `opa ${ARTEFACT.opa} ${ARTEFACT.wasm}`;

/** The worker starts with the first call (about 0.5 s) and stays. */
export function createToolchain(
  options: RegoOptions,
  logger: Logger = silentLogger,
  artefact: URL = new URL('./toolchain.wasm.br', import.meta.url),
): Toolchain {
  const worker = createToolchainWorker(options, artefact, logger);

  async function call<Name extends CallName>(
    name: Name,
    request: Calls[Name][0],
    signal?: AbortSignal,
  ): Promise<Calls[Name][1]> {
    const answer = await worker.call({ ...request, do: name }, signal);
    if (answer.issues !== undefined) {
      const issues = withoutRepetition(answer.issues).map(toFailureIssue);
      throw new Failure('policy_rejected', issues[0]?.message ?? 'The policy has errors', { issues });
    }
    if (answer.error !== undefined) {
      throw new Failure('internal', 'The Rego toolchain failed', { cause: answer.error });
    }
    return answer.result as Calls[Name][1];
  }

  return {
    async check(source, signal) {
      await call('check', source, signal);
    },
    async compile(request, signal) {
      const { wasm, ...compiled } = await call('compile', request, signal);
      return { wasm: Uint8Array.fromBase64(wasm), ...compiled };
    },
    test: (request, signal) => call('test', request, signal),
    evaluate: async (request, signal) => (await call('evaluate', request, signal)).outcomes,
    version: (signal) => call('version', {}, signal),
    async checkStrictly(source, signal) {
      await call('checkStrictly', source, signal);
    },
    format: async (modules, signal) => (await call('format', { modules }, signal)).modules,
    mergeData: async (files, signal) => (await call('data', { files }, signal)).data,
    deps: (request, signal) => call('deps', request, signal),
    query: (request, signal) => call('query', request, signal),
    repeat: (request, signal) => call('repeat', request, signal),
    state: () => worker.state(),
    close: () => worker.close(),
  };
}

/** A rule of which the compiler makes two is found wrong twice. */
function withoutRepetition(issues: readonly RegoIssue[]): readonly RegoIssue[] {
  return [...new Map(issues.map((issue) => [JSON.stringify(issue), issue])).values()];
}

/** An issue of the toolchain as REST and the command line show it. */
export function toFailureIssue(issue: RegoIssue): FailureIssue {
  return {
    code: issue.code,
    message: issue.message,
    ...(issue.file === undefined ? {} : { file: issue.file }),
    ...(issue.row === undefined ? {} : { line: issue.row }),
    ...(issue.col === undefined ? {} : { column: issue.col }),
    ...(issue.entrypoint === undefined ? {} : { pointer: `/entrypoints/${issue.entrypoint}` }),
  };
}
