/**
 * Secrets: private keys, and the keys of what must be erasable. They are never in a body, blob or checkpoint.
 *
 * This file holds the interface and the sealing; a store keeps sealed bytes by name and never sees a secret.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { Failure } from '../core/failure.ts';
import type { RandomBytes } from './random.ts';
import type { SecretsKey } from './secrets-key.ts';

export const MAX_SECRET_BYTES = 65_536;

/**
 * A name has 1 to 200 characters of `[A-Za-z0-9._:/-]`; it is not secret. A secret has at most `MAX_SECRET_BYTES`.
 *
 * Every method throws Failure `request_malformed` for a name of another form, and may throw `store_unavailable`.
 */
export interface Secrets {
  /** Replaces what was there. @throws Failure request_malformed  when it is too large */
  put(name: string, bytes: Uint8Array): Promise<void>;
  /**
   * @returns undefined when there is none
   * @throws Failure store_mismatch  when it was sealed with a key that was not given, or for another name, or is
   *         damaged; never other bytes than those that were put
   */
  get(name: string): Promise<Uint8Array | undefined>;
  /**
   * Resolves when the bytes are overwritten wherever this store had them; without an error when there is none.
   *
   * @throws Failure store_unavailable  also when it is gone but a reader still keeps old pages: delete it again
   */
  delete(name: string): Promise<void>;
}

/** What a store implements: sealed bytes by name. The methods promise what those of `Secrets` do. */
export interface SealedSecrets {
  put(name: string, sealed: Uint8Array): Promise<void>;
  get(name: string): Promise<Uint8Array | undefined>;
  delete(name: string): Promise<void>;
  /** In order, those after `after` (`''`: from the first), at most `limit`: for a copy of the store. */
  names(after: string, limit: number): Promise<readonly string[]>;
}

export interface SecretsDeps {
  readonly sealed: SealedSecrets;
  /** seals what is put */
  readonly key: SecretsKey;
  /** open what was sealed before the key was changed */
  readonly previousKeys?: readonly SecretsKey[];
  readonly random: RandomBytes;
}

/**
 * The form of sealed bytes: version (1), id of the key (8), nonce (12), ciphertext, tag (16); AES-256-GCM (NIST SP
 * 800-38D). What stands before the nonce and the name are associated data, so that bytes that were moved to another
 * name do not open. An older value of the same name does: a store that was set back cannot be told from here.
 */
const VERSION = 1;
const CIPHER = 'aes-256-gcm';
const ID_BYTES = 8;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = 1 + ID_BYTES;
const LEAST_BYTES = HEAD_BYTES + NONCE_BYTES + TAG_BYTES;
const NAME = /^[A-Za-z0-9._:/-]{1,200}$/;

export function createSecrets({ sealed, key, previousKeys = [], random }: SecretsDeps): Secrets {
  const keys = [key, ...previousKeys];
  return {
    async put(name, bytes) {
      expectName(name);
      if (bytes.length > MAX_SECRET_BYTES) {
        throw new Failure('request_malformed', `a secret holds at most ${MAX_SECRET_BYTES} bytes`);
      }
      await sealed.put(name, seal(name, bytes, key, random(NONCE_BYTES)));
    },
    async get(name) {
      expectName(name);
      const stored = await sealed.get(name);
      return stored === undefined ? undefined : open(name, Buffer.from(stored), keys);
    },
    async delete(name) {
      expectName(name);
      await sealed.delete(name);
    },
  };
}

function seal(name: string, bytes: Uint8Array, key: SecretsKey, nonce: Uint8Array): Uint8Array {
  const head = Buffer.concat([Buffer.of(VERSION), key.id]);
  const cipher = createCipheriv(CIPHER, key.sealing, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(associated(head, name));
  const parts = [head, nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()];
  // in memory of its own: a small Buffer is a part of one that other bytes are in, and goes to the store with them
  return Uint8Array.from(Buffer.concat(parts));
}

function open(name: string, stored: Buffer, keys: readonly SecretsKey[]): Uint8Array {
  if (stored.length < LEAST_BYTES || stored[0] !== VERSION) {
    throw new Failure('store_mismatch', 'a secret is damaged, or was sealed by a newer program');
  }
  const head = stored.subarray(0, HEAD_BYTES);
  const key = keys.find(({ id }) => head.subarray(1).equals(id));
  if (key === undefined) throw new Failure('store_mismatch', 'a secret was sealed with another key');
  const nonce = stored.subarray(HEAD_BYTES, HEAD_BYTES + NONCE_BYTES);
  const decipher = createDecipheriv(CIPHER, key.sealing, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(associated(head, name));
  decipher.setAuthTag(stored.subarray(-TAG_BYTES));
  const bytes = decipher.update(stored.subarray(HEAD_BYTES + NONCE_BYTES, -TAG_BYTES));
  try {
    // nothing leaves this function before the tag has been compared
    return Uint8Array.from(Buffer.concat([bytes, decipher.final()]));
  } catch {
    throw new Failure('store_mismatch', 'a secret is not what was sealed under its name');
  }
}

function associated(head: Uint8Array, name: string): Buffer {
  return Buffer.concat([Buffer.from('chancery-secret\n'), head, Buffer.from(name)]);
}

function expectName(name: string): void {
  if (!NAME.test(name)) {
    throw new Failure('request_malformed', 'the name of a secret has 1 to 200 of A-Z a-z 0-9 . _ : / -');
  }
}
