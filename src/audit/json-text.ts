/**
 * JSON that can be changed in place and keeps the text of its numbers: a log that says 12345678901234567000 where the
 * request said 12345678901234567890 is wrong.
 */
import { parseJson } from '../core/parse-json.ts';

/** A number as it was written; `JSON.stringify` writes it so again. */
interface NumberText {
  readonly rawJSON: string;
}
export type LogJson = null | boolean | number | string | LogJson[] | LogObject | NumberText;
export interface LogObject {
  [key: string]: LogJson;
}

/** ECMAScript 2026; the types of TypeScript 7.0 lack them. */
interface JsonWithText {
  rawJSON(text: string): NumberText;
  isRawJSON(value: unknown): value is NumberText;
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
}
const json = JSON as unknown as JsonWithText;

/** A number that `parse` and `stringify` might not write as it was: 16 digits, a fraction, an exponent. */
const INEXACT = /(?:^|[[:,])\s*-?(?:[0-9]{16}|[0-9]+[.eE])/;

export function parseJsonText(text: string): LogJson {
  if (!INEXACT.test(text)) return parseJson(text) as LogJson;
  return json.parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && source !== String(value)
      ? json.rawJSON(source)
      : value,
  ) as LogJson;
}

/** Whether objects and lists are nested deeper in a JSON text; what stands in strings does not count. */
export function isDeeperThan(levels: number, text: string): boolean {
  if (text.length <= levels * 2) return false;
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === '"') at = endOfString(text, at);
    else if (character === '[' || character === '{') depth += 1;
    else if (character === ']' || character === '}') depth -= 1;
    if (depth > levels) return true;
  }
  return false;
}

/** @returns where its second quote is */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text.charAt(at) !== '"') at += text.charAt(at) === '\\' ? 2 : 1;
  return at;
}

export function isLogObject(value: LogJson | undefined): value is LogObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !json.isRawJSON(value);
}

/** A name such as `__proto__` is a member like any other. */
export function setMember(object: LogObject, key: string, value: LogJson): void {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
}

export function memberOf(object: LogObject, key: string): LogJson | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}
