/**
 * The policies that run in this process. Each follows the latest release of its name: the new one is loaded beside
 * the old, then one reference changes. An evaluation keeps the evaluator it began with, so the old one drains by itself. What cannot be loaded leaves the old one running.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import type { ChangedKey } from '../journal/fold.ts';
import type { Blobs } from '../journal/journal.ts';
import { jittered, type RandomBytes } from '../journal/random.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { observeEvaluations } from './evaluation-metrics.ts';
import type { EvaluationPool } from './evaluation-pool.ts';
import { type ActivePolicy, loadRelease } from './load.ts';
import type { PolicyOptions } from './options.ts';
import type { Network } from './replay.ts';
import type { PolicyView, RecordedRelease } from './state.ts';

export interface ActivePolicies {
  /** Loads what is released; resolves when each is loaded or in trouble. */
  loadAll(): Promise<void>;
  /** Call it after each commit: loads what was released in it, and tries again what is in trouble. */
  follow(changed: ReadonlySet<ChangedKey>): void;
  /** Resolves when nothing is being loaded. */
  settled(): Promise<void>;
  /** @returns undefined  when nothing was released, or nothing of it could be loaded: policy_not_loaded */
  select(name: string): ActivePolicy | undefined;
  /** names of the policies with a released revision, loaded or not */
  releasedNames(): readonly string[];
  /** why the released revision of this policy does not run, if it does not */
  trouble(name: string): string | undefined;
}

export interface ActivePoliciesDeps {
  readonly view: PolicyView;
  readonly blobs: Blobs;
  readonly options: PolicyOptions;
  /** for policies that this thread may not evaluate */
  readonly pool: EvaluationPool;
  /** undefined: the network is not for policies */
  readonly network?: Network | undefined;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

const RELEASE_KEY = 'release/';
const ATTEMPTS = 6;
const FIRST_DELAY_MS = 100;

export function createActivePolicies(deps: ActivePoliciesDeps): ActivePolicies {
  const { view, logger } = deps;
  const running = new Map<string, ActivePolicy>();
  const troubles = new Map<string, string>();
  const loading = new Map<string, Promise<void>>();
  const loads = deps.metrics.counter('chancery_policy_loads_total', 'Releases loaded, by outcome', [
    'outcome',
  ]);
  const seqs = deps.metrics.gauge('chancery_policy_release_seq', 'Position of the release that runs', [
    'policy',
  ]);

  const costsOf = observeEvaluations(deps.metrics);

  deps.metrics.observed(
    'gauge',
    'chancery_policy_running_info',
    'The revision that runs, as a label; its value is 1',
    () =>
      [...running.values()].map(({ name, revision }) => ({ value: 1, labels: { policy: name, revision } })),
    ['policy', 'revision'],
  );

  /** Until what runs is what is released: a release that comes while another is loaded is seen here. */
  async function catchUp(name: string): Promise<void> {
    for (;;) {
      const release = view.released(name);
      if (release === undefined) {
        stop(name);
        return;
      }
      // of an adopted journal another release may have the same seq
      const { seq, revision } = running.get(name) ?? {};
      if (seq === release.seq && revision === release.revision) return;
      try {
        swap(await load(release));
      } catch (thrown) {
        if (view.released(name) !== release) continue;
        report(release, Failure.from(thrown, 'policy_not_loaded'));
        return;
      }
    }
  }

  /** Its only releases were lost with a part of the journal that was adopted without them. */
  function stop(name: string): void {
    troubles.delete(name);
    if (running.delete(name)) logger.warn({ policy: name }, 'a policy has no release any more');
  }

  function swap(policy: ActivePolicy): void {
    const { name, revision, seq } = policy;
    running.set(name, policy);
    troubles.delete(name);
    loads.add({ outcome: 'loaded' });
    seqs.set(seq, { policy: name });
    logger.info({ policy: name, revision, seq }, 'a release runs');
  }

  function report({ policy, revision, seq }: RecordedRelease, failure: Failure): void {
    troubles.set(policy, failure.detail);
    loads.add({ outcome: 'failed' });
    logger.error({ policy, revision, seq, err: failure }, 'a release cannot be loaded');
  }

  /** A store that is away may come back; a superseded release is not waited for. */
  async function load(release: RecordedRelease): Promise<ActivePolicy> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await loadRelease(release, { ...deps, observe: costsOf(release.policy) });
      } catch (thrown) {
        const mayComeBack = thrown instanceof Failure && thrown.code === 'store_unavailable';
        if (!mayComeBack || attempt === ATTEMPTS || view.released(release.policy) !== release) throw thrown;
        await delay(jittered(FIRST_DELAY_MS * 2 ** attempt, deps.random), undefined, { ref: false });
      }
    }
  }

  function start(name: string): Promise<void> {
    const current = loading.get(name);
    if (current !== undefined) return current;
    const started = Promise.resolve().then(async () => {
      try {
        await catchUp(name);
      } finally {
        loading.delete(name);
      }
    });
    loading.set(name, started);
    return started;
  }

  async function settled(): Promise<void> {
    while (loading.size > 0) await Promise.all(loading.values());
  }

  return {
    async loadAll() {
      await Promise.all(view.names().map(start));
    },
    follow(changed) {
      const released = [...changed].filter((key) => key.startsWith(RELEASE_KEY));
      const names = new Set(released.map((key) => key.slice(RELEASE_KEY.length)));
      for (const name of names.union(new Set(troubles.keys()))) void start(name);
    },
    settled,
    select: (name) => running.get(name),
    releasedNames: () => view.names().filter((name) => view.released(name) !== undefined),
    trouble: (name) => troubles.get(name),
  };
}
