/** The metrics of Checks. Their labels come from closed lists, and from the names of policies that run. */
import type { DecisionNotes } from '../decision/decide.ts';
import type { Metrics } from '../telemetry/metrics.ts';

export interface CheckMeasures {
  /** @param policy  that was asked; '' when none was */
  count(effect: 'allow' | 'deny' | 'failure', reason: string, policy: string): void;
  /** Times of `performance.now()`; undefined: it did not come so far. */
  time(
    startedMs: number,
    parsedMs: number | undefined,
    notes: Pick<DecisionNotes, 'authenticatedAtMs' | 'evaluatedAtMs'>,
    endedMs: number,
  ): void;
  /** answered, and not recorded: a defect */
  unrecorded(): void;
}

const DURATION_BUCKETS = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1];
const STAGE_BUCKETS = [0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.025, 0.1, 1];

const PARSE = { stage: 'parse' };
const AUTHENTICATE = { stage: 'authenticate' };
const EVALUATE = { stage: 'evaluate' };
const ENCODE = { stage: 'encode' };

export function createCheckMeasures(metrics: Metrics, inProgress: () => number): CheckMeasures {
  const checks = metrics.counter(
    'chancery_checks_total',
    'Checks answered; policy: the one that was asked, empty when none was',
    ['effect', 'reason', 'policy'],
  );
  const durations = metrics.histogram(
    'chancery_check_duration_seconds',
    'Time from the bytes of a CheckRequest to those of its answer',
    DURATION_BUCKETS,
  );
  const stages = metrics.histogram(
    'chancery_check_stage_duration_seconds',
    'Time that a step of a Check has taken: parse, authenticate (policy selected, grant asked for), evaluate (input ' +
      'written, result read), encode',
    STAGE_BUCKETS,
    ['stage'],
  );
  metrics.observed('gauge', 'chancery_checks_in_progress', 'Checks that are not answered yet', () => [
    { value: inProgress() },
  ]);
  const unrecorded = metrics.counter(
    'chancery_checks_unrecorded_total',
    'Checks that were answered, and whose metrics or record could not be made: a defect',
  );
  return {
    count: (effect, reason, policy) => checks.add({ effect, reason, policy }),
    unrecorded: () => unrecorded.add(),
    time(startedMs, parsedMs, { authenticatedAtMs, evaluatedAtMs }, endedMs) {
      durations.observe((endedMs - startedMs) / 1000);
      if (parsedMs === undefined) return;
      stages.observe((parsedMs - startedMs) / 1000, PARSE);
      stages.observe(((authenticatedAtMs ?? endedMs) - parsedMs) / 1000, AUTHENTICATE);
      if (authenticatedAtMs === undefined || evaluatedAtMs === undefined) return;
      stages.observe((evaluatedAtMs - authenticatedAtMs) / 1000, EVALUATE);
      stages.observe((endedMs - evaluatedAtMs) / 1000, ENCODE);
    },
  };
}
