/**
 * JSON that can be changed in place and keeps the text of its numbers: a log that says 12345678901234567000 where the
 * request said 12345678901234567890 is wrong.
 */

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
  if (!INEXACT.test(text)) return JSON.parse(text) as LogJson;
  return json.parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && source !== String(value)
      ? json.rawJSON(source)
      : value,
  ) as LogJson;
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
