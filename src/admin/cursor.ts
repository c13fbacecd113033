/**
 * Cursors of lists: where a page ended, sealed so that nobody can make one, read one, or use one elsewhere.
 *
 * A cursor is `base64url(nonce ‖ ciphertext ‖ tag)` of AES-256-GCM (NIST SP 800-38D). The list and its filter are the
 * associated data. The nonce is derived from what is sealed, as RFC 5297 does, so that the same page has the same
 * cursor in every process and no nonce ever stands for two texts.
 */
import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import { toCanonicalJson } from '../core/canonical-json.ts';
import { Failure } from '../core/failure.ts';

/** The list that a cursor is of: its operation, and everything that selects what is in it. */
export type ListName = readonly [operation: string, filter: object];

export interface Cursors {
  seal(list: ListName, position: string): string;
  /** @throws Failure request_malformed  when it is not a cursor of this list and this instance */
  open(list: ListName, cursor: string): string;
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CIPHER = 'aes-256-gcm';

/** @param key  32 bytes that the processes of an instance share, for nothing else */
export function createCursors(key: Uint8Array): Cursors {
  const nonceKey = createHmac('sha256', key).update('nonce').digest();
  const sealKey = createHmac('sha256', key).update('seal').digest();
  return {
    seal(list, position) {
      const associated = Buffer.from(toCanonicalJson(list));
      const nonce = createHmac('sha256', nonceKey)
        .update(JSON.stringify([associated.toString(), position]))
        .digest()
        .subarray(0, NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, sealKey, nonce, { authTagLength: TAG_BYTES }).setAAD(associated);
      const text = Buffer.concat([cipher.update(position, 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, text, cipher.getAuthTag()]).toString('base64url');
    },
    open(list, cursor) {
      const bytes = Buffer.from(cursor, 'base64url');
      // base64url leaves bits of the last character unused: only one spelling is the cursor
      if (bytes.length < NONCE_BYTES + TAG_BYTES || bytes.toString('base64url') !== cursor) throw refuse();
      try {
        const nonce = bytes.subarray(0, NONCE_BYTES);
        const decipher = createDecipheriv(CIPHER, sealKey, nonce, { authTagLength: TAG_BYTES })
          .setAAD(Buffer.from(toCanonicalJson(list)))
          .setAuthTag(bytes.subarray(-TAG_BYTES));
        const text = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES));
        return Buffer.concat([text, decipher.final()]).toString('utf8');
      } catch {
        throw refuse();
      }
    },
  };
}

function refuse(): Failure {
  const message = 'query parameter cursor: is not a cursor of this list with these parameters';
  return new Failure('request_malformed', 'the cursor is not one that this list has given', {
    issues: [{ pointer: '/cursor', code: 'cursor_invalid', message }],
  });
}
