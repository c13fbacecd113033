/**
 * A protobuf message as opa-envoy-plugin shows it to Rego: JSON names, set fields only, enums and 64-bit integers as
 * numbers, bytes as base64, `Struct` as plain JSON, `Timestamp` and `Any` as they are on the wire.
 *
 * It resembles protobuf's JSON mapping but is not it (numbers for enums and int64, no RFC 3339 time).
 */
import { LIST_VALUE, STRUCT, VALUE } from './check-request-types.ts';
import type { JsonWriter } from './json-writer.ts';
import type { FieldType, FieldValue, Message, Span } from './protobuf-message.ts';
import { toStructNumber } from './struct-number.ts';

export function writeMessage(to: JsonWriter, bytes: Buffer, message: Message): void {
  if (message.type === STRUCT) return writeStruct(to, bytes, message);
  to.raw('{');
  let first = true;
  const { fields } = message.type;
  for (let slot = 0; slot < fields.length; slot++) {
    const value = message.values[slot];
    const field = fields[slot];
    if (value === undefined || field === undefined || !isVisible(field, value)) continue;
    if (!first) to.raw(',');
    first = false;
    to.raw(field.jsonKey);
    writeValue(to, bytes, field, value);
  }
  to.raw('}');
}

function writeValue(to: JsonWriter, bytes: Buffer, field: FieldType, value: FieldValue): void {
  switch (field.kind) {
    case 'string':
      return to.utf8(bytes, value as Span);
    case 'bytes':
      return to.base64(bytes, value as Span);
    case 'double':
      return to.raw(toStructNumber(value as number));
    case 'int64':
    case 'int32':
    case 'uint32':
    case 'bool':
      return to.raw(String(value as bigint | number | boolean));
    case 'map':
      return writeMap(to, bytes, value as ReadonlyMap<string, Span | string | Message>);
    case 'message':
      if (!Array.isArray(value)) return writeMessage(to, bytes, value as Message);
      return writeList(to, value, (element) => writeMessage(to, bytes, element));
    default:
      return field.kind satisfies never;
  }
}

function writeMap(to: JsonWriter, bytes: Buffer, map: ReadonlyMap<string, Span | string | Message>): void {
  let separator = '{';
  for (const [key, value] of map) {
    to.raw(separator);
    separator = ',';
    to.string(key);
    to.raw(':');
    if (typeof value === 'string') to.string(value);
    else if ('type' in value) writeMessage(to, bytes, value);
    else to.utf8(bytes, value);
  }
  to.raw(separator === '{' ? '{}' : '}');
}

function writeList(to: JsonWriter, list: readonly Message[], write: (element: Message) => void): void {
  to.raw('[');
  list.forEach((element, index) => {
    if (index > 0) to.raw(',');
    write(element);
  });
  to.raw(']');
}

function writeStruct(to: JsonWriter, bytes: Buffer, struct: Message): void {
  let separator = '{';
  for (const [key, value] of (struct.values[0] ?? []) as Iterable<readonly [string, Message]>) {
    to.raw(separator);
    separator = ',';
    to.string(key);
    to.raw(':');
    writeStructValue(to, bytes, value);
  }
  to.raw(separator === '{' ? '{}' : '}');
}

/** A Value without a kind is null, as Go's `AsInterface` has it. */
function writeStructValue(to: JsonWriter, bytes: Buffer, value: Message): void {
  const slot = value.values.findIndex((candidate) => candidate !== undefined);
  const field = VALUE.fields[slot];
  const member = value.values[slot];
  if (field === undefined || member === undefined || field.name === 'nullValue') return to.raw('null');
  if (typeof member === 'object' && 'type' in member && member.type === LIST_VALUE) {
    return writeList(to, (member.values[0] ?? []) as Message[], (element) =>
      writeStructValue(to, bytes, element),
    );
  }
  writeValue(to, bytes, field, member);
}

/** Fields with implicit presence are shown unless they hold their default; members of a oneof always. */
function isVisible(field: FieldType, value: FieldValue): boolean {
  if (field.oneof !== 0 || field.kind === 'message') return true;
  if (typeof value === 'object')
    return value instanceof Map ? value.size > 0 : (value as Span).end > (value as Span).start;
  return value !== 0 && value !== 0n && value !== false && !Object.is(value, -0);
}
