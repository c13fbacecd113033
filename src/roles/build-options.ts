/** What every node's resources are built with besides the journal: where the authorizers are, and the stated limits. */
import type { Config } from '../config/schema.ts';
import type { BuildOptions } from '../xds/build.ts';
import type { Place } from '../xds/cluster.ts';
import { announcedPlace } from './announce.ts';
import { createAuthzPlaces } from './authz-places.ts';
import type { World } from './world.ts';

export interface LiveBuildOptions {
  current(): Omit<BuildOptions, 'asOfMs'>;
  /** Looks a first time. Never throws. */
  start(): Promise<void>;
  close(): void;
}

export interface LiveBuildOptionsDeps extends Pick<World, 'shared' | 'clock' | 'random' | 'logger'> {
  readonly config: Config;
  /** where this process answers Checks; Envoys are sent there while nobody is announced */
  readonly authzPort: number;
  readonly onChange: () => void;
}

export function createBuildOptions({
  config,
  authzPort,
  onChange,
  ...world
}: LiveBuildOptionsDeps): LiveBuildOptions {
  const { envoyTls, checkTimeoutMs } = config.control;
  const configured: Place = announcedPlace(config.authz, authzPort);
  const optionsFor = (live: readonly Place[]): Omit<BuildOptions, 'asOfMs'> => ({
    authz: {
      places: live.length > 0 ? live : [configured],
      timeoutMs: checkTimeoutMs,
      ...(config.authz.tls && envoyTls && { tls: envoyTls }),
    },
    maxStreamSeconds: config.tier1.maxStreamSeconds,
  });
  let options = optionsFor([]);
  const places = createAuthzPlaces({
    ...world,
    onChange: () => {
      options = optionsFor(places.current());
      onChange();
    },
  });
  return { current: () => options, start: () => places.start(), close: () => places.close() };
}
