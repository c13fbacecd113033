/** What every role shares: the journal, and the state that is folded from it. */
import type { Config } from '../config/schema.ts';
import type { Clock } from '../core/clock.ts';
import { isDigest } from '../core/digest.ts';
import { createDoorMeasures, type DoorMeasures } from '../grpc/measures.ts';
import { createFollower, type JournalFollower } from '../journal/follower.ts';
import type { Blobs, Journal } from '../journal/journal.ts';
import type { RandomBytes } from '../journal/random.ts';
import type { Shared } from '../journal/shared.ts';
import type { Expectations } from '../journal/verify.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { createState, reducersOf, type State } from './state.ts';

export interface Ambient {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface World extends Ambient {
  readonly journal: Journal;
  readonly blobs: Blobs;
  /** what the processes of this instance tell each other; expires */
  readonly shared: Shared;
  readonly follower: JournalFollower;
  readonly state: State;
  /** what is counted at the ports with TLS */
  readonly door: (port: 'authz' | 'control') => DoorMeasures;
}

/** @param genesis  the pin of an in-memory journal; with a store the configuration holds it */
export function createWorld(
  config: Config,
  storage: Pick<World, 'journal' | 'blobs' | 'shared'> & { readonly genesis?: string },
  ambient: Ambient,
): World {
  const state = createState(() => follower.genesis()?.instance ?? '');
  const { pollMs } = config.journal;
  const { genesis } = storage;
  const follower: JournalFollower = createFollower({
    journal: storage.journal,
    blobs: storage.blobs,
    reducers: reducersOf(state),
    createReducers: () => reducersOf(createState()),
    expectations: expectationsOf(config, genesis),
    pollMs,
    ...ambient,
  });
  const { journal, blobs, shared } = storage;
  return { ...ambient, journal, blobs, shared, follower, state, door: createDoorMeasures(ambient.metrics) };
}

/** @param pinned  in the place of the pin of the configuration */
export function expectationsOf({ journal }: Config, pinned?: string): Expectations {
  const { genesis = '', instance, environment } = { ...journal, ...(pinned && { genesis: pinned }) };
  return {
    ...(isDigest(genesis) ? { genesis } : {}),
    ...(instance === undefined ? {} : { instance }),
    ...(environment === undefined ? {} : { environment }),
  };
}
