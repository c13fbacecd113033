/**
 * `chancery eval`: a query on OPA's evaluator and on the compiled module that production would run. What is printed is
 * OPA's answer, in OPA's formats, once the two agree; one of them alone can be asked for as well.
 */
import { text as readAll } from 'node:stream/consumers';
import { Failure } from '../core/failure.ts';
import type { Json } from '../core/json.ts';
import type { CompiledQuery, QueryResult } from '../rego/author-messages.ts';
import type { RegoSource } from '../rego/messages.ts';
import type { ExplainMode } from '../rego/test-messages.ts';
import { toFailureIssue } from '../rego/toolchain.ts';
import { linesOf, toErrors } from './author-issues.ts';
import { toSource, withToolchain } from './author-source.ts';
import { ask, type CompiledAnswer, differenceOf, startCompiled } from './compiled-module.ts';
import { type EvalFormat, type EvalTarget, toText } from './eval-formats.ts';
import { complain } from './output.ts';
import { readPolicyPaths, readText } from './policy-paths.ts';

export interface EvalFlags {
  readonly data: readonly string[];
  readonly input?: string;
  readonly stdinInput?: boolean;
  readonly format: EvalFormat;
  /** `rego` is what `opa` calls its evaluator */
  readonly target: EvalTarget;
  readonly explain?: ExplainMode;
  readonly ignore: readonly string[];
  /** exit code 1 when the query is undefined, or empty */
  readonly fail?: boolean;
  /** exit code 1 when it is defined */
  readonly failDefined?: boolean;
  readonly strictBuiltinErrors?: boolean;
}

const FAILED = 2;

/** @returns 0; 1 as `--fail` and `--fail-defined` say, or a file is missing; 2 an error, or a difference */
export async function evalCommand(query: string, flags: EvalFlags): Promise<number> {
  try {
    const results = await evaluate(query, flags);
    process.stdout.write(toText(results, flags.format));
    if (flags.fail === true && results.length === 0) return 1;
    return flags.failDefined === true && results.length > 0 ? 1 : 0;
  } catch (thrown) {
    if (!(thrown instanceof Failure)) throw thrown;
    if (flags.format === 'json') process.stdout.write(`${JSON.stringify(toErrors(thrown), undefined, 2)}\n`);
    else for (const line of linesOf(thrown)) complain(line);
    return thrown.code === 'not_found' ? 1 : FAILED;
  }
}

async function evaluate(query: string, flags: EvalFlags): Promise<readonly QueryResult[]> {
  const { target, explain, ignore, strictBuiltinErrors = false } = flags;
  const files = readPolicyPaths(flags.data, ignore);
  const input = await readInput(flags);
  return withToolchain(async (toolchain) => {
    const source = await toSource(files, toolchain);
    const compiled = target === 'both' || target === 'wasm';
    const answer = await toolchain.query({ ...source, query, input, explain, strictBuiltinErrors, compiled });
    for (const told of [answer.output, answer.trace]) if (told !== undefined) process.stderr.write(told);
    if (answer.compiled !== undefined) {
      const { compiled: module } = answer;
      const own = askModule(module, source, input ?? '{}', target === 'wasm');
      if (target === 'wasm') return toResults(module, own);
    }
    if (answer.error !== undefined) {
      const issue = toFailureIssue(answer.error);
      throw new Failure('policy_failed', issue.message, { issues: [issue] });
    }
    return answer.results ?? [];
  });
}

/**
 * @returns undefined when the query cannot be compiled, which is said
 * @throws Failure policy_rejected  when the two differ, or when the query must be compiled and cannot
 */
function askModule(
  { wasm, reason, entrypoint, expected }: CompiledQuery,
  { data = {} }: RegoSource,
  input: string,
  isNeeded: boolean,
): CompiledAnswer | undefined {
  if (reason !== undefined || wasm === undefined) {
    const detail = `The query cannot be compiled: ${reason ?? 'there is no module'}`;
    if (isNeeded) throw new Failure('policy_rejected', detail);
    complain(`chancery: ${detail}; this is the answer of OPA's evaluator`);
    return undefined;
  }
  const answer = ask(startCompiled(Uint8Array.fromBase64(wasm), { data }), entrypoint, input);
  const difference = differenceOf(expected, answer);
  if (difference !== undefined && !isNeeded) throw new Failure('policy_rejected', difference);
  return answer;
}

/** What the rule that stands for the query says, as the results of the query. */
function toResults(
  { expressions }: CompiledQuery,
  answer: CompiledAnswer | undefined,
): readonly QueryResult[] {
  if (answer === undefined) return [];
  if ('failure' in answer) throw answer.failure;
  const rows = (answer.value ?? []) as readonly (readonly [
    readonly Json[],
    { readonly [name: string]: Json },
  ])[];
  return rows.map(([values, bindings]) => ({
    expressions: expressions.map(({ value, text, location }) => ({
      value: value === -1 ? true : (values[value] ?? null),
      text,
      location,
    })),
    ...(Object.keys(bindings).length > 0 && { bindings }),
  }));
}

async function readInput({ input, stdinInput }: EvalFlags): Promise<string | undefined> {
  if (stdinInput === true) return readAll(process.stdin);
  return input === undefined ? undefined : readText(input);
}
