/** What every role shares: the journal, and the state that is folded from it. */
import { createTokenState, type TokenState } from '../admin/token-state.ts';
import type { Config } from '../config/schema.ts';
import type { Clock } from '../core/clock.ts';
import { isDigest } from '../core/digest.ts';
import { createIssuers, type Issuers } from '../identity/state.ts';
import { createFollower, type JournalFollower } from '../journal/follower.ts';
import type { Blobs, Journal } from '../journal/journal.ts';
import type { RandomBytes } from '../journal/random.ts';
import type { Shared } from '../journal/shared.ts';
import { createPolicyState, type PolicyState } from '../policy/state.ts';
import { createRegistry, type Registry } from '../registry/state.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';

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
}

interface State {
  readonly registry: Registry;
  readonly issuers: Issuers;
  readonly policies: PolicyState;
  readonly tokens: TokenState;
}

/** @param genesis  the pin of an in-memory journal; with a store the configuration holds it */
export function createWorld(
  config: Config,
  storage: Pick<World, 'journal' | 'blobs' | 'shared'> & { readonly genesis?: string },
  ambient: Ambient,
): World {
  const state: State = {
    registry: createRegistry(),
    issuers: createIssuers(),
    policies: createPolicyState(),
    tokens: createTokenState(),
  };
  const { instance, environment, pollMs } = config.journal;
  const genesis = storage.genesis ?? config.journal.genesis;
  const follower = createFollower({
    journal: storage.journal,
    reducers: [state.registry.reducer, state.issuers.reducer, state.policies.reducer, state.tokens.reducer],
    expectations: {
      ...(isDigest(genesis) ? { genesis } : {}),
      ...(instance === undefined ? {} : { instance }),
      ...(environment === undefined ? {} : { environment }),
    },
    pollMs,
    ...ambient,
  });
  const { journal, blobs, shared } = storage;
  return { ...ambient, journal, blobs, shared, follower, state };
}
