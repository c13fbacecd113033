import { toCanonicalJson } from '../core/canonical-json.ts';
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import { parseJson } from '../core/parse-json.ts';
import { bodyDigest, SALT_BYTES } from './entry-bytes.ts';
import type { StoredEntry } from './journal.ts';

/** @returns the body, or undefined when it was erased (which is no problem) or is not sound (which is one) */
export function verifyBody(
  { entry, salt, body }: StoredEntry,
  problem: (message: string) => void,
): JsonObject | undefined {
  if (salt === undefined && body === undefined) return undefined;
  if (salt === undefined || body === undefined) {
    problem('of body and salt only one is there');
    return undefined;
  }
  if (salt.length !== SALT_BYTES || bodyDigest(salt, body) !== entry.bodyDigest) {
    problem('the body does not match its digest');
    return undefined;
  }
  const parsed = parseCanonical(body);
  if (parsed === undefined) problem('the body is not an object in canonical JSON');
  return parsed;
}

function parseCanonical(bytes: Uint8Array): JsonObject | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    const value = parseJson(text) as Json;
    return isJsonObject(value) && toCanonicalJson(value) === text ? value : undefined;
  } catch {
    return undefined;
  }
}
