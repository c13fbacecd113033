import type { Metrics } from '../telemetry/metrics.ts';

export interface CheckpointMeasures {
  written(seq: number): void;
  notWritten(): void;
  /** the local copy ends there */
  copied(seq: number): void;
  notCopied(): void;
}

export function createCheckpointMeasures(metrics: Metrics): CheckpointMeasures {
  const writes = metrics.counter('chancery_checkpoints_total', 'Checkpoints, by outcome', ['outcome']);
  const seq = metrics.gauge(
    'chancery_checkpoint_seq',
    'Position of the last checkpoint that this process wrote',
  );
  const copySeq = metrics.gauge('chancery_local_copy_seq', 'Position of the last entry in the local copy');
  const copyFailures = metrics.counter(
    'chancery_local_copy_failures_total',
    'Times that the local copy could not be written',
  );
  return {
    written(at) {
      writes.add({ outcome: 'written' });
      seq.set(at);
    },
    notWritten: () => writes.add({ outcome: 'failed' }),
    copied: (at) => copySeq.set(at),
    notCopied: () => copyFailures.add(),
  };
}
