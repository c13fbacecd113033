/**
 * Request bodies are I-JSON (RFC 7493) in UTF-8: what could not be written to the journal as RFC 8785 text is
 * refused here, with the place, and not found out half-way through a change.
 */
import { Failure } from '../core/failure.ts';
import type { Json } from '../core/json.ts';
import { parseJson } from '../core/parse-json.ts';

const MAX_DEPTH = 100;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** @throws Failure request_malformed */
export function parseJsonBody(bytes: Uint8Array): unknown {
  let value: unknown;
  try {
    value = parseJson(utf8.decode(bytes));
  } catch (error) {
    // The parser's own message quotes the body; it stays in the log.
    throw new Failure('request_malformed', 'the body is not JSON in UTF-8', { cause: error });
  }
  expectPortable(value as Json);
  return value;
}

/** @throws Failure request_malformed  for a value that has no RFC 8785 text, or is nested too deep */
export function expectPortable(value: Json | object): void {
  checkValue(value as Json, []);
}

function checkValue(value: Json, path: readonly string[]): void {
  if (path.length > MAX_DEPTH) throw refuse(path.slice(0, 5), `is nested more than ${MAX_DEPTH} deep`);
  if (typeof value === 'string' && !value.isWellFormed())
    throw refuse(path, 'holds half of a surrogate pair');
  if (typeof value === 'number' && !Number.isFinite(value)) throw refuse(path, 'is a number out of range');
  if (typeof value !== 'object' || value === null) return;
  for (const [name, member] of Object.entries(value)) {
    if (!name.isWellFormed()) throw refuse(path, 'has a member whose name holds half of a surrogate pair');
    // An own member for JSON.parse, the prototype for whoever copies it by assignment.
    if (name === '__proto__') throw refuse(path, 'has a member __proto__');
    checkValue(member as Json, [...path, name]);
  }
}

function refuse(path: readonly string[], message: string): Failure {
  return new Failure('request_malformed', 'the body has no portable JSON form', {
    issues: [{ pointer: toPointer(path), code: 'not_portable', message }],
  });
}

/** RFC 6901 */
export function toPointer(path: readonly string[]): string {
  return path.map((name) => `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
