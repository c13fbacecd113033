/**
 * The threads that evaluate what may not be evaluated on the thread that answers Checks: policies that need OPA's own
 * implementation of a built-in function, which cannot be interrupted. An evaluation that is not done at its deadline
 * ends with its thread, and another thread takes its place.
 *
 * A caller that goes away does not end a thread: whoever could cancel requests could otherwise keep it starting.
 */
import { extname } from 'node:path';
import { Piscina } from 'piscina';
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { EvaluationReport, EvaluationTask, ThreadOptions } from './evaluation-task.ts';
import type { PolicyOptions } from './options.ts';

export interface EvaluationPool {
  /**
   * @param deadlineMs  milliseconds since the epoch
   * @throws Failure overloaded  too many evaluations wait; deadline_exceeded; policy_failed  the thread gave up;
   *         policy_not_loaded  the module cannot be started
   */
  evaluate(task: EvaluationTask, deadlineMs: number): Promise<EvaluationReport>;
  /**
   * As OPA's own code reads it.
   *
   * @returns Rego text; undefined: it is no YAML
   * @throws Failure overloaded; deadline_exceeded  the signal; policy_failed
   */
  decodeYaml(text: string, signal: AbortSignal): Promise<string | undefined>;
  close(): Promise<void>;
}

export interface PoolDeps {
  readonly options: Pick<PolicyOptions, 'threads' | 'maxQueued' | 'maxToolchainMiB'>;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/** Deep values need more than a thread has by default. */
const STACK_MIB = 16;
const RETRY_SECONDS = 1;
/** Of the time that is left: in the rest, the answer that there is none reaches who asked. */
const SHARE_OF_TIME = 0.9;
/** Whatever deadline a caller names. */
const LONGEST_MS = 60_000;

/** Threads start with the first evaluation and stay. */
export function createEvaluationPool({ options, clock, metrics }: PoolDeps): EvaluationPool {
  let pool: Piscina | undefined;
  let closed = false;
  let late = 0;
  const starting = (): Piscina => {
    if (closed) throw new Failure('overloaded', 'This process is stopping');
    pool ??= start(options);
    return pool;
  };
  metrics.observed('gauge', 'chancery_policy_threads_waiting', 'Evaluations that wait for a thread', () => [
    { value: pool?.queueSize ?? 0 },
  ]);
  metrics.observed(
    'counter',
    'chancery_policy_threads_late_total',
    'Evaluations that no thread had done at their deadline; the thread of one in progress was ended',
    () => [{ value: late }],
  );

  return {
    async evaluate(task, deadlineMs) {
      const left = (deadlineMs - clock.nowMs()) * SHARE_OF_TIME;
      if (left <= 0) throw tooLate();
      const threads = starting();
      if (threads.queueSize >= options.maxQueued) throw tooMany();
      const deadline = new AbortController();
      const timer = setTimeout(() => deadline.abort(), Math.ceil(Math.min(left, LONGEST_MS)));
      try {
        return (await threads.run(task, { name: 'evaluate', signal: deadline.signal })) as EvaluationReport;
      } catch (thrown) {
        if (!deadline.signal.aborted) throw Failure.from(thrown, 'policy_failed');
        late += 1;
        throw tooLate();
      } finally {
        clearTimeout(timer);
      }
    },
    async decodeYaml(text, signal) {
      const threads = starting();
      if (threads.queueSize >= options.maxQueued) throw tooMany();
      try {
        return (await threads.run(text, { name: 'decodeYaml', signal })) as string | undefined;
      } catch (thrown) {
        throw signal.aborted ? tooLate() : Failure.from(thrown, 'policy_failed');
      }
    },
    async close() {
      closed = true;
      await pool?.destroy();
    },
  };
}

function start({ threads, maxQueued, maxToolchainMiB }: PoolDeps['options']): Piscina {
  const file = new URL(`./evaluation-worker${extname(import.meta.filename)}`, import.meta.url);
  return new Piscina({
    filename: file.href,
    minThreads: threads,
    maxThreads: threads,
    maxQueue: maxQueued,
    workerData: { maxToolchainMiB } satisfies ThreadOptions,
    resourceLimits: { stackSizeMb: STACK_MIB },
    execArgv: [],
    env: {},
  });
}

function tooLate(): Failure {
  return new Failure('deadline_exceeded', 'The evaluation was not done at the deadline');
}

function tooMany(): Failure {
  return new Failure('overloaded', 'Too many evaluations wait for a thread', {
    retryAfterSeconds: RETRY_SECONDS,
  });
}
