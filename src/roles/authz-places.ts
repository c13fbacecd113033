/** Where the live authorizers are, as they announce it themselves: looked for every second. */
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import { canonicalIp, isAnyAddress } from '../core/ip-address.ts';
import { isSocketPath, unixPath } from '../core/unix-address.ts';
import { createPoller } from '../journal/poller.ts';
import { jittered, type RandomBytes } from '../journal/random.ts';
import type { Shared } from '../journal/shared.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Place } from '../xds/cluster.ts';
import { AUTHZ_PREFIX, within } from './announce.ts';

export interface AuthzPlacesDeps {
  readonly shared: Pick<Shared, 'list'>;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly logger: Logger;
  /** called after each change of `current` */
  readonly onChange: () => void;
  /** between two looks, jittered; default 1 s */
  readonly lookMs?: number;
}

export interface AuthzPlaces {
  /** in order of address and port, each once; empty: nobody is announced */
  current(): readonly Place[];
  /** Looks a first time, and from then on again and again. Never throws. */
  start(): Promise<void>;
  close(): void;
}

const LOOK_MS = 1_000;
/**
 * How long the last known places are kept while shared state is away. Health checks leave those that are dead; after
 * this time the addresses may belong to somebody else.
 */
export const KEPT_MS = 3_600_000;

const placeSchema = Type.Object({
  address: Type.String(),
  port: Type.Integer({ minimum: 0, maximum: 65535 }),
});

export function createAuthzPlaces(deps: AuthzPlacesDeps): AuthzPlaces {
  const { shared, clock, random, logger, onChange, lookMs = LOOK_MS } = deps;
  const ended = new AbortController();
  let places: readonly Place[] = [];
  let seenAtMs = clock.nowMs();
  let trouble = false;

  const change = (next: readonly Place[]): void => {
    if (JSON.stringify(next) === JSON.stringify(places) || ended.signal.aborted) return;
    places = next;
    logger.info({ places }, 'the live authorizers have changed');
    onChange();
  };

  const looked = Promise.withResolvers<void>();
  const look = async (): Promise<void> => {
    const askedAtMs = clock.nowMs();
    try {
      const announced = await within(shared.list(AUTHZ_PREFIX));
      seenAtMs = askedAtMs;
      trouble = false;
      change(distinct(announced.flatMap(({ value }) => parsePlace(value) ?? [])));
    } catch (error) {
      if (!trouble)
        logger.warn({ err: Failure.from(error) }, 'the live authorizers are not known; the last stay');
      trouble = true;
      if (clock.nowMs() - seenAtMs > KEPT_MS) change([]);
    } finally {
      looked.resolve();
    }
  };

  return {
    current: () => places,
    start() {
      createPoller({ look, nextMs: () => jittered(lookMs, random), signal: ended.signal }).hint();
      return looked.promise;
    },
    close: () => ended.abort(),
  };
}

/**
 * One that Envoy would refuse keeps every node from hearing of the others: so nothing else comes through.
 *
 * @returns undefined for what no version of ours announces
 */
function parsePlace(text: string): Place | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (!Value.Check(placeSchema, value)) return undefined;
    const { address, port } = value;
    const path = unixPath(address);
    if (path !== undefined) return isSocketPath(path) && port === 0 ? { address, port } : undefined;
    const ip = isAnyAddress(address) ? undefined : canonicalIp(address);
    return ip !== undefined && port > 0 ? { address: ip, port } : undefined;
  } catch {
    return undefined;
  }
}

/** The same places in the same order are the same bytes on every process. */
function distinct(places: readonly Place[]): readonly Place[] {
  const byName = new Map(places.map((place) => [`${place.address} ${place.port}`, place]));
  return [...byName].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, place]) => place);
}
