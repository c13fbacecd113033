/**
 * `chancery bench`: what one evaluation of a rule costs, in units, and how fast the module that production runs is beside
 * OPA's evaluator. The latter is the one in the toolchain, which is WebAssembly itself, so the ratio is no comparison
 * with a native `opa`; rounds alternate, and the median ratio of the rounds is told with its spread.
 */
import { Failure } from '../core/failure.ts';
import type { Evaluator } from '../policy/evaluator.ts';
import type { RepeatRequest } from '../rego/author-messages.ts';
import type { Toolchain } from '../rego/toolchain.ts';
import { readSource, withToolchain } from './author-source.ts';
import { ask, startCompiled } from './compiled-module.ts';
import { say } from './output.ts';
import { readText } from './policy-paths.ts';

export interface BenchFlags {
  readonly input?: string;
  readonly format: 'pretty' | 'json';
  /** rounds of both evaluators, one after the other */
  readonly count: number;
  readonly ignore: readonly string[];
}

/** How long each evaluator runs in one round; with the first round, which warms both, ten rounds take about 5 s. */
const ROUND_MS = 200;
const MAX_ROUNDS = 100;
const RULE = /^data(\.[A-Za-z_]\w*)+$/;

interface Round {
  /** of one evaluation */
  readonly oursMicroseconds: number;
  readonly opaMicroseconds: number;
}

/** @returns 0 */
export async function benchCommand(path: string, query: string, flags: BenchFlags): Promise<number> {
  if (!RULE.test(query)) throw new Failure('request_malformed', `${query} is not a rule, such as data.a.b`);
  if (flags.count < 1 || flags.count > MAX_ROUNDS)
    throw new Failure('request_malformed', `--count is 1 to ${MAX_ROUNDS}`);
  const input = flags.input === undefined ? '{}' : readText(flags.input);
  const entrypoint = query.split('.').slice(1).join('/');
  const { rounds, units } = await withToolchain(async (toolchain) => {
    const source = await readSource([path], flags.ignore, toolchain);
    const { wasm } = await toolchain.compile({ ...source, entrypoints: [entrypoint] });
    const evaluator = startCompiled(wasm, { data: source.data ?? {} });
    const answer = ask(evaluator, entrypoint, input);
    if ('failure' in answer) throw answer.failure;
    const request = { ...source, entrypoint, input, forMs: ROUND_MS };
    return { rounds: await measure(evaluator, toolchain, request, flags.count), units: answer.units };
  });
  print(rounds, units, flags.format);
  return 0;
}

async function measure(
  evaluator: Evaluator,
  toolchain: Toolchain,
  request: RepeatRequest,
  count: number,
): Promise<readonly Round[]> {
  const rounds: Round[] = [];
  for (let round = 0; round <= count; round += 1) {
    const oursMicroseconds = repeat(evaluator, request);
    const { evaluations, durationNs } = await toolchain.repeat(request);
    if (round > 0) rounds.push({ oursMicroseconds, opaMicroseconds: durationNs / evaluations / 1_000 });
  }
  return rounds;
}

/** Reading the input and writing the result are part of it. */
function repeat(evaluator: Evaluator, { entrypoint, input, forMs }: RepeatRequest): number {
  const bytes = Buffer.from(input);
  const startedMs = performance.now();
  let evaluations = 0;
  let elapsedMs = 0;
  while (elapsedMs < forMs) {
    evaluator.evaluate(entrypoint, bytes);
    evaluations += 1;
    elapsedMs = performance.now() - startedMs;
  }
  return (elapsedMs * 1_000) / evaluations;
}

function print(rounds: readonly Round[], units: number, format: BenchFlags['format']): void {
  const ratios = rounds.map(({ oursMicroseconds, opaMicroseconds }) => opaMicroseconds / oursMicroseconds);
  const result = {
    units,
    oursMicroseconds: middle(rounds.map((round) => round.oursMicroseconds)),
    opaMicroseconds: middle(rounds.map((round) => round.opaMicroseconds)),
    ratio: middle(ratios),
    lowestRatio: Math.min(...ratios),
    highestRatio: Math.max(...ratios),
  };
  if (format === 'json') {
    say(JSON.stringify(result, undefined, 2));
    return;
  }
  say(`units per evaluation        ${result.units}`);
  say(`compiled module             ${result.oursMicroseconds.toFixed(1)} µs`);
  say(`OPA in the toolchain        ${result.opaMicroseconds.toFixed(1)} µs, without reading the input`);
  const spread = `${result.lowestRatio.toFixed(1)} to ${result.highestRatio.toFixed(1)}`;
  say(`the module is faster by     ${result.ratio.toFixed(1)} times (${spread}, ${rounds.length} rounds)`);
}

function middle(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
