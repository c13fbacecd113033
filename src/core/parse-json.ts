/**
 * `JSON.parse`, also where V8 gets a key wrong. In V8 14.6 (Node 26.10) a key that is written with an escape is compared as
 * it is written with the key that an earlier object of the same shape had: after `{"a":1,"\\":1}` the key of
 * `{"a":1,"\n":1}` is read as `\`. A key that comes of this has a backslash in it; a text that seems to have such a key is
 * read again, with other names for the keys that have escapes.
 */
import { randomUUID } from 'node:crypto';
import { isJsonObject } from './json.ts';

const STRING = /"(?:[^"\\]|\\.)*"(\s*:)?/gs;

/** @throws SyntaxError  as `JSON.parse`; RangeError  what has such a key is nested too deeply */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  return text.includes('\\') && hasDoubtfulKey(value) ? parseRenamed(text) : value;
}

function hasDoubtfulKey(value: unknown): boolean {
  const left = [value];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (typeof next !== 'object' || next === null) continue;
    if (isJsonObject(next) && Object.keys(next).some((key) => key.includes('\\'))) return true;
    for (const member of Object.values(next)) left.push(member);
  }
  return false;
}

function parseRenamed(text: string): unknown {
  const prefix = randomUUID();
  const names = new Map<string, string>();
  const renamed = text.replaceAll(STRING, (string, colon?: string) => {
    if (colon === undefined || !string.includes('\\')) return string;
    const name = `${prefix}${names.size}`;
    // a string alone is read as it is
    names.set(name, JSON.parse(string.slice(0, -colon.length)) as string);
    return `"${name}":`;
  });
  return withNames(JSON.parse(renamed), names);
}

function withNames(value: unknown, names: ReadonlyMap<string, string>): unknown {
  if (Array.isArray(value)) return value.map((member) => withNames(member, names));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [names.get(key) ?? key, withNames(member, names)]),
  );
}
