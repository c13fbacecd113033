import type { Metrics } from '../telemetry/metrics.ts';
import type { EvaluationCost } from './evaluator.ts';

const UNIT_BUCKETS = [1_000, 10_000, 100_000, 1_000_000, 10_000_000, 50_000_000, 250_000_000];

/** @returns for a policy's name what is told of each of its evaluations */
export function observeEvaluations(metrics: Metrics): (policy: string) => (cost: EvaluationCost) => void {
  const units = metrics.histogram(
    'chancery_policy_evaluation_units',
    'What an evaluation has cost, in units that are the same on every machine',
    UNIT_BUCKETS,
    ['policy'],
  );
  const failures = metrics.counter(
    'chancery_policy_failed_evaluations_total',
    'Evaluations without a result: failed, over_budget, cut_short at a smaller budget since failing ones took too ' +
      'much time, suspended (the network had not answered, or was asked too often), or refused (not begun)',
    ['policy', 'outcome'],
  );
  return (policy) => {
    const ofPolicy = { policy };
    return ({ outcome, units: cost }) => {
      if (outcome !== 'refused') units.observe(cost, ofPolicy);
      if (outcome !== 'answered') failures.add({ policy, outcome });
    };
  };
}
