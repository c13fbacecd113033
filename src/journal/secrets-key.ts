/** The key that seals secrets: from a file of the configuration, never from a store. */
import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import { Failure } from '../core/failure.ts';
import { readPrivateFile, writePrivateFile } from './private-file.ts';
import type { RandomBytes } from './random.ts';

export interface SecretsKey {
  /** 8 bytes that tell keys apart and say nothing else of them */
  readonly id: Uint8Array;
  /** AES-256; a KeyObject, so that no log and no `inspect` shows its bytes */
  readonly sealing: KeyObject;
}

const KEY_BYTES = 32;

/** @throws Failure store_mismatch  unless it has 32 bytes */
export function toSecretsKey(bytes: Uint8Array): SecretsKey {
  if (bytes.length !== KEY_BYTES) {
    throw new Failure('store_mismatch', `the secrets key has ${KEY_BYTES} bytes, raw and random`);
  }
  return {
    id: new Uint8Array(derive(bytes, 'id', 8)),
    sealing: createSecretKey(new Uint8Array(derive(bytes, 'seal', 32))),
  };
}

/** @throws Failure store_mismatch  as `readPrivateFile` and `toSecretsKey` */
export function readSecretsKeyFile(path: string): SecretsKey {
  return toSecretsKey(readPrivateFile(path, 'the secrets key file'));
}

/** Makes a key and writes it to a new file, as `writePrivateFile`. @throws Failure already_exists */
export function writeSecretsKeyFile(path: string, random: RandomBytes): SecretsKey {
  const bytes = random(KEY_BYTES);
  writePrivateFile(path, bytes, 'the secrets key file');
  return toSecretsKey(bytes);
}

/** Where the key is when the configuration does not say: beside the signing key. */
export function defaultSecretsKeyFile(signingKeyFile: string): string {
  return `${signingKeyFile}.secrets`;
}

/**
 * The key of the configuration; undefined when it names none, and none is in the default place, as it is with stores
 * that are older than secrets.
 *
 * @throws Failure store_mismatch  as `readSecretsKeyFile`, also when a named file is missing
 */
export function findSecretsKey(named: string | undefined, signingKeyFile: string): SecretsKey | undefined {
  const path = named ?? defaultSecretsKeyFile(signingKeyFile);
  return named === undefined && !existsSync(path) ? undefined : readSecretsKeyFile(path);
}

/** HKDF-SHA256 (RFC 5869), a key of its own per purpose; the input is uniform, so no salt is needed. */
function derive(bytes: Uint8Array, purpose: string, length: number): ArrayBuffer {
  return hkdfSync('sha256', bytes, new Uint8Array(), `chancery-secrets-v1 ${purpose}`, length);
}
