/**
 * One of the threads that evaluate policies which need OPA's own implementation of a built-in function. Such a call
 * knows no deadline, so the thread is ended when one has passed, and with it whatever it was doing.
 */
import { LRUCache } from 'lru-cache';
import { workerData } from 'piscina';
import { systemClock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import { systemRandom } from '../journal/random.ts';
import { createBuiltins } from './all-builtins.ts';
import { newMemory } from './builtin-context.ts';
import type { EvaluationReport, EvaluationTask, PolicyImage, ThreadOptions } from './evaluation-task.ts';
import { createEvaluator, type Evaluator } from './evaluator.ts';

/** Each has memory of its own; those of releases that are over go first. */
const MOST_POLICIES = 8;

const { maxToolchainMiB } = workerData as ThreadOptions;
const builtins = createBuiltins({ maxToolchainMiB });
const evaluators = new LRUCache<number, Evaluator>({ max: MOST_POLICIES });

function evaluatorOf(image: PolicyImage): Evaluator {
  const known = evaluators.get(image.id);
  if (known !== undefined) return known;
  const started = createEvaluator(image.module, { ...image, builtins });
  evaluators.set(image.id, started);
  return started;
}

/** Never throws what has a code. */
export function evaluate({ image, entrypoint, input, from }: EvaluationTask): EvaluationReport {
  const evaluator = evaluatorOf(image);
  try {
    const evaluation = evaluator.attempt(entrypoint, input, from);
    return { cost: evaluator.lastCost(), evaluation };
  } catch (thrown) {
    const { code, detail } = Failure.from(thrown, 'policy_failed');
    return { cost: evaluator.lastCost(), failure: { code, detail } };
  }
}

/** @returns Rego text; undefined: it is no YAML */
export function decodeYaml(text: string): string | undefined {
  return builtins.call('yaml.unmarshal', [JSON.stringify(text)], {
    ...newMemory({ clock: systemClock }),
    randomBytes: systemRandom,
    charge: () => {},
  });
}
