/** What a node keeps for a start without Chancery: one file, for its owner only. It holds no key; keys stay where they are. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../core/failure.ts';
import type { JsonObject } from '../core/json.ts';
import {
  type NodeConfiguration,
  toConfigurationText,
  verifyConfiguration,
} from '../identity/node-configuration.ts';
import type { EnvoyOptions } from './envoy.ts';
import { type NodeFolder, replaceFile } from './node-folder.ts';
import { toOfflineFiles } from './offline-files.ts';

export interface KeptConfiguration {
  /**
   * @throws Failure not_found (nothing is kept); credential_invalid, credential_expired, peer_mismatch,
   *         request_malformed (what is kept may not be used)
   */
  read(): NodeConfiguration;
  /**
   * Keeps it in the place of the one before, once it is verified. An older position of the same epoch is left.
   *
   * @throws Failure credential_invalid …  as `read`; what was kept stays
   */
  keep(configuration: NodeConfiguration): void;
}

export interface KeptOptions {
  /** absolute */
  readonly path: string;
  readonly node: string;
  readonly folder: Pick<NodeFolder, 'current'>;
  readonly nowMs: () => number;
}

export function openKeptConfiguration({ path, node, folder, nowMs }: KeptOptions): KeptConfiguration {
  const file = join(path, 'configuration.json');
  const verified = (text: string): NodeConfiguration => {
    const publicKey = folder.current()?.configurationKey;
    if (publicKey === undefined) {
      throw new Failure(
        'credential_invalid',
        'no key is pinned on this node to verify the kept configuration with',
      );
    }
    return verifyConfiguration(text, { publicKey, node, nowMs: nowMs() });
  };
  const read = (): NodeConfiguration => {
    if (!existsSync(file)) throw new Failure('not_found', 'this node keeps no configuration yet');
    return verified(readFileSync(file, 'utf8'));
  };
  const isOlder = (configuration: NodeConfiguration): boolean => {
    try {
      const [epoch, seq] = placeOf(configuration);
      const [keptEpoch, keptSeq] = placeOf(read());
      return epoch === keptEpoch && seq < keptSeq;
    } catch {
      return false;
    }
  };
  return {
    read,
    keep(configuration) {
      const text = toConfigurationText(configuration);
      verified(text);
      if (!isOlder(configuration)) replaceFile(file, text);
    },
  };
}

type Place = Pick<EnvoyOptions, 'folder' | 'adminPort'>;

/** Writes what Envoy is started with. @returns the bootstrap's file */
export function writeBootstrap({ folder, adminPort }: Place, bootstrap: JsonObject): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, 'bootstrap.json');
  const admin = { address: { socketAddress: { address: '127.0.0.1', portValue: adminPort ?? 0 } } };
  replaceFile(file, JSON.stringify({ ...bootstrap, ...(adminPort !== undefined && { admin }) }));
  return file;
}

/** The same for a start without Chancery, with all that would come over ADS. @returns the bootstrap's file */
export function writeOfflineFiles(place: Place, configuration: NodeConfiguration): string {
  const { folder } = place;
  const { bootstrap, files } = toOfflineFiles(configuration, folder);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const old of readdirSync(folder)) {
    if (old.endsWith('.json') && !files.has(old)) rmSync(join(folder, old));
  }
  for (const [name, content] of files) replaceFile(join(folder, name), JSON.stringify(content));
  return writeBootstrap(place, bootstrap);
}

function placeOf({ position }: NodeConfiguration): readonly [epoch: number, seq: number] {
  const [epoch = 0, seq = 0] = position.split('.').map(Number);
  return [epoch, seq];
}
