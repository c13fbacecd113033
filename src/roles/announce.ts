/** Tells all processes of the instance where this one answers Checks: again and again, and no more once it stops. */
import { hostname } from 'node:os';
import type { Config } from '../config/schema.ts';
import { Failure } from '../core/failure.ts';
import { isAnyAddress } from '../core/ip-address.ts';
import { unixPath } from '../core/unix-address.ts';
import { until } from '../journal/deadline.ts';
import { createPoller } from '../journal/poller.ts';
import { jittered, type RandomBytes } from '../journal/random.ts';
import type { Shared } from '../journal/shared.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Place } from '../xds/cluster.ts';

type AuthzOptions = Pick<Config['authz'], 'address' | 'announce'>;

export interface AnnounceDeps {
  readonly shared: Shared;
  readonly random: RandomBytes;
  readonly logger: Logger;
  /** between two announcements, jittered; default 3 s */
  readonly beatMs?: number;
}

export interface Announcement {
  /** Takes it back; when that fails it expires by itself. Never throws. */
  withdraw(): Promise<void>;
}

export const AUTHZ_PREFIX = 'authz/';
const BEAT_MS = 3_000;
/** Two beats may be late before a process is taken for dead. */
const BEATS_OF_LIFE = 3;
const CALL_MS = 2_000;

/** @param port  that this process listens on. @returns undefined: no node could make use of the address */
export function announceAuthz(
  options: AuthzOptions,
  port: number,
  deps: AnnounceDeps,
): Announcement | undefined {
  const place = announcedPlace(options, port);
  if (!isAnyAddress(place.address)) return announce(place, deps);
  deps.logger.warn({ address: place.address }, 'this authorizer is not announced: authz.announce is missing');
  return undefined;
}

export function announce(
  place: Place,
  { shared, random, logger, beatMs = BEAT_MS }: AnnounceDeps,
): Announcement {
  const tail = Buffer.from(random(6)).toString('hex');
  const key = `${AUTHZ_PREFIX}${encodeURIComponent(hostname()).slice(0, 200)}:${process.pid}:${tail}`;
  const value = JSON.stringify({ address: place.address, port: place.port });
  const ended = new AbortController();
  let trouble = false;
  let running = Promise.resolve();

  const beat = async (): Promise<void> => {
    try {
      await within(shared.put(key, value, BEATS_OF_LIFE * beatMs));
      trouble = false;
    } catch (error) {
      if (!trouble) logger.warn({ err: Failure.from(error) }, 'this authorizer could not be announced');
      trouble = true;
    }
  };
  const look = (): Promise<void> => (running = beat());
  createPoller({ look, nextMs: () => jittered(beatMs, random), signal: ended.signal }).hint();

  return {
    async withdraw() {
      ended.abort();
      // or the last beat might come after it
      await running;
      await within(shared.remove(key)).catch((error: unknown) => {
        logger.warn(
          { err: Failure.from(error) },
          'the announcement of this authorizer could not be taken back',
        );
      });
    },
  };
}

/** Where nodes reach the authorizer that a configuration describes. @param port  that it listens on */
export function announcedPlace({ address, announce: other }: AuthzOptions, port: number): Place {
  if (other !== undefined) return { address: other.address, port: other.port ?? port };
  return { address, port: unixPath(address) === undefined ? port : 0 };
}

/** @throws Failure deadline_exceeded */
export function within<T>(work: Promise<T>): Promise<T> {
  return until(work, AbortSignal.timeout(CALL_MS), 'shared state does not answer');
}
