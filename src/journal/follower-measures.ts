import type { Failure } from '../core/failure.ts';
import type { Metrics } from '../telemetry/metrics.ts';

export interface FollowerMeasures {
  applied(seq: number): void;
  /** after each look: what stops it from following, if anything */
  looked(trouble: Failure | undefined): void;
}

export function createFollowerMeasures(metrics: Metrics): FollowerMeasures {
  const position = metrics.gauge('chancery_journal_position', 'seq of the last applied entry');
  const following = metrics.gauge('chancery_journal_following', '1 while the journal can be followed');
  const diverged = metrics.gauge(
    'chancery_journal_diverged',
    '1 while the store has lost what was applied here: `chancery store adopt` ends it',
  );
  const failures = metrics.counter('chancery_journal_failures_total', 'looks that failed', ['code']);
  return {
    applied: (seq) => position.set(seq),
    looked(trouble) {
      following.set(trouble === undefined ? 1 : 0);
      diverged.set(trouble?.code === 'store_diverged' ? 1 : 0);
      if (trouble !== undefined) failures.add({ code: trouble.code });
    },
  };
}
