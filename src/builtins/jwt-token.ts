/** Tokens of three parts, and their headers. */
import { textOfJsonBytes } from './bytes.ts';
import { decodeBase64Url } from './encoding.ts';
import { fail } from './implementation.ts';
import { type ReadJson, readJson } from './json-read.ts';

export interface Token {
  /** as it is in the token */
  readonly header: string;
  readonly payload: string;
  readonly signature: string;
}

export type JsonMembers = Readonly<Record<string, unknown>>;
export interface JsonObject extends ReadJson {
  readonly value: JsonMembers;
  readonly text: string;
}

/** What OPA knows of a header. */
export interface Header {
  readonly alg: string;
  readonly kid: string;
  readonly cty: string;
  /** everything there is known, and it says its algorithm */
  readonly isValid: boolean;
}

const KNOWN = ['alg', 'kid', 'typ', 'cty', 'crit'];

export function splitToken(text: string): Token {
  const [header, payload, signature, ...more] = text.split('.', 4);
  if (header === undefined || payload === undefined || signature === undefined || more.length > 0)
    return fail();
  return { header, payload, signature };
}

export function decodePart(part: string): Buffer {
  return decodeBase64Url(part) ?? fail();
}

export function decodeObject(bytes: Buffer): JsonObject {
  const text = textOfJsonBytes(bytes);
  const { value, rego } = readJson(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return fail();
  return { value: value as JsonMembers, rego, text };
}

/** Encrypted tokens are errors. */
export function decodeHeader(token: Token): JsonObject {
  const header = decodeObject(decodePart(token.header));
  return Object.hasOwn(header.value, 'enc') ? fail() : header;
}

export function readHeader({ value }: JsonObject): Header {
  const text = (name: string): string => {
    const member = Object.hasOwn(value, name) ? value[name] : '';
    return typeof member === 'string' ? member : fail();
  };
  text('typ');
  const alg = text('alg');
  const critical = Object.hasOwn(value, 'crit') ? criticalNames(value['crit']) : [];
  const isUnderstood = !critical.some((name) => Object.hasOwn(value, name) && !KNOWN.includes(name));
  return { alg, kid: text('kid'), cty: text('cty'), isValid: alg !== '' && isUnderstood };
}

/** Names after one that is no string are not looked at. */
function criticalNames(value: unknown): readonly string[] {
  if (!Array.isArray(value)) return fail();
  const all: readonly unknown[] = value;
  const odd = all.findIndex((each) => typeof each !== 'string');
  const names = all.slice(0, odd === -1 ? all.length : odd) as readonly string[];
  return names.length === 0 ? fail() : names;
}
