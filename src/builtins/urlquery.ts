/** `urlquery.*`, as Go's `net/url` escapes and parses. */

import { textOfBytes } from './bytes.ts';
import { type Family, fail } from './implementation.ts';
import { jsonKey } from './json-text.ts';
import { objectOf, stringOf, stringsOf } from './operands.ts';
import { compareStrings, type Entry, RegoObject, type Value } from './value.ts';

/** What `encodeURIComponent` leaves as it is and Go does not. */
const UNESCAPED = /[!'()*]/g;
const BAD_ESCAPE = /%(?![0-9A-Fa-f]{2})/;
const ESCAPES = /(?:%[0-9A-Fa-f]{2})+/g;
/** more parameters than these Go refuses */
const MOST_PARAMETERS = 10_000;

function escape(text: string): string {
  return encodeURIComponent(text)
    .replace(UNESCAPED, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+');
}

function unescape(text: string): string {
  if (BAD_ESCAPE.test(text)) fail();
  const spaced = text.replaceAll('+', ' ');
  return spaced.replace(ESCAPES, (run) => textOfBytes(Buffer.from(run.replaceAll('%', ''), 'hex')));
}

function encodeObject(object: RegoObject): string {
  const parameters = new Map(object.sorted.map(([key, value]) => [jsonKey(key), valuesOf(value)]));
  return [...parameters.keys()]
    .toSorted(compareStrings)
    .flatMap((key) => (parameters.get(key) ?? []).map((value) => `${escape(key)}=${escape(value)}`))
    .join('&');
}

function valuesOf(value: Value): readonly string[] {
  return typeof value === 'string' ? [value] : stringsOf(value);
}

function decodeObject(query: string): RegoObject {
  if (query.split('&', MOST_PARAMETERS + 1).length > MOST_PARAMETERS) fail();
  const parameters = new Map<string, string[]>();
  for (const parameter of query.split('&')) {
    if (parameter === '') continue;
    if (parameter.includes(';')) fail();
    const equals = parameter.indexOf('=');
    const key = unescape(equals === -1 ? parameter : parameter.slice(0, equals));
    const value = equals === -1 ? '' : unescape(parameter.slice(equals + 1));
    const values = parameters.get(key);
    if (values === undefined) parameters.set(key, [value]);
    else values.push(value);
  }
  return new RegoObject([...parameters] as Entry[]);
}

export const urlquery: Family = {
  'urlquery.encode': ([text]) => escape(stringOf(text)),
  'urlquery.decode': ([text]) => unescape(stringOf(text)),
  'urlquery.encode_object': ([object]) => encodeObject(objectOf(object)),
  'urlquery.decode_object': ([query]) => decodeObject(stringOf(query)),
};
