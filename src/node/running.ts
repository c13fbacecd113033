import type { RandomBytes } from '../journal/random.ts';
import type { Contact, Listener, NodeOrders } from './contact.ts';
import type { EnvoyOptions, RunningEnvoy } from './envoy.ts';
import type { KeptConfiguration } from './kept-configuration.ts';
import type { InstalledIdentity } from './node-folder.ts';

export interface RunOptions {
  readonly contact: Contact;
  readonly kept: KeptConfiguration;
  readonly identity: () => InstalledIdentity | undefined;
  /** its folder is for what Envoy is started with */
  readonly envoy: EnvoyOptions;
  readonly say: (line: string) => void;
  readonly complain: (line: string) => void;
  readonly random: RandomBytes;
  /** epoch ms */
  readonly nowMs: () => number;
  /** between two looks, jittered */
  readonly lookMs: number;
}

export interface Running {
  readonly envoy: RunningEnvoy;
  readonly listener: Listener;
  /** started from files */
  readonly offline: boolean;
  /** no longer than that after the last word of Chancery */
  readonly maxOfflineMs: number;
}

/** How long an Envoy may take until it serves. */
export const LIVE_MS = 30_000;

export function runningOnline({ listener, maxOfflineSeconds }: NodeOrders, envoy: RunningEnvoy): Running {
  return { envoy, listener, offline: false, maxOfflineMs: maxOfflineSeconds * 1_000 };
}
