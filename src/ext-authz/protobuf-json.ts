/**
 * A protobuf message as opa-envoy-plugin shows it to Rego: JSON names, set fields only, enums and 64-bit integers as
 * numbers, bytes as base64, `Struct` as plain JSON, `Timestamp` and `Any` as they are on the wire.
 *
 * It resembles protobuf's JSON mapping but is not it (numbers for enums and int64, no RFC 3339 time).
 */
import { type InputReads, readsBelow } from '../core/input-reads.ts';
import { LIST_VALUE, STRUCT, VALUE } from './check-request-types.ts';
import type { JsonWriter } from './json-writer.ts';
import type { FieldType, FieldValue, MadeMap, Message, MessageType } from './protobuf-message.ts';
import type { Span } from './span.ts';
import { toStructNumber } from './struct-number.ts';
import { WireMap } from './wire-map.ts';

/** @param reads  what of it will be read: the rest is left out */
export function writeMessage(
  to: JsonWriter,
  bytes: Buffer,
  message: Message,
  reads: InputReads = true,
): void {
  if (message.type === STRUCT) return writeStruct(to, bytes, message, reads);
  to.raw('{');
  for (const { slot, field, below } of membersOf(message.type, reads)) {
    const value = message.values[slot];
    if (value === undefined || !isVisible(field, value)) continue;
    to.bytes(field.jsonKey);
    writeValue(to, bytes, field, value, below);
    to.raw(',');
  }
  to.end('}');
}

/** A field that is read, and what of it. */
interface ReadMember {
  readonly slot: number;
  readonly field: FieldType;
  readonly below: InputReads;
}

/** By what is read, which is made once for a policy and belongs to one type; `all` is read of many types. */
const members = new WeakMap<object, { readonly type: MessageType; readonly list: readonly ReadMember[] }>();

function membersOf(type: MessageType, reads: InputReads): readonly ReadMember[] {
  const key = reads === true ? type : reads;
  const known = members.get(key);
  if (known?.type === type) return known.list;
  const list = type.fields.flatMap((field, slot) => {
    const below = readsBelow(reads, field.name);
    return below === undefined ? [] : [{ slot, field, below }];
  });
  members.set(key, { type, list });
  return list;
}

function writeValue(
  to: JsonWriter,
  bytes: Buffer,
  field: FieldType,
  value: FieldValue,
  reads: InputReads = true,
): void {
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
      return value instanceof WireMap
        ? writeMap(to, bytes, value, reads)
        : writeMadeMap(to, bytes, value as MadeMap);
    case 'message':
      if (!Array.isArray(value)) return writeMessage(to, bytes, value as Message, reads);
      return writeList(to, value, (element) => writeMessage(to, bytes, element));
    default:
      return field.kind satisfies never;
  }
}

/** The members that are read: all of the map, or those few of it. */
function writeMap(to: JsonWriter, bytes: Buffer, map: WireMap<Message>, reads: InputReads): void {
  to.raw('{');
  if (reads === true) {
    for (const entry of map.distinct()) writeEntry(to, bytes, map, entry, true);
  } else {
    for (const [key, below] of reads) {
      const entry = map.find(key);
      if (entry >= 0) writeEntry(to, bytes, map, entry, below);
    }
  }
  to.end('}');
}

function writeEntry(
  to: JsonWriter,
  bytes: Buffer,
  map: WireMap<Message>,
  entry: number,
  reads: InputReads,
): void {
  to.utf8(bytes, map.keyAt(entry));
  to.raw(':');
  const message = map.messageAt(entry);
  if (message === undefined) to.utf8(bytes, map.valueAt(entry));
  else if (message.type === VALUE) writeStructValue(to, bytes, message, reads);
  else writeMessage(to, bytes, message, reads);
  to.raw(',');
}

/** Whoever made it has put nothing else into it than what is read. */
function writeMadeMap(to: JsonWriter, bytes: Buffer, map: MadeMap): void {
  to.raw('{');
  for (const [key, value] of map) {
    to.string(key);
    to.raw(':');
    if (typeof value === 'string') to.string(value);
    else to.utf8(bytes, value);
    to.raw(',');
  }
  to.end('}');
}

function writeList(to: JsonWriter, list: readonly Message[], write: (element: Message) => void): void {
  to.raw('[');
  for (const element of list) {
    write(element);
    to.raw(',');
  }
  to.end(']');
}

function writeStruct(to: JsonWriter, bytes: Buffer, struct: Message, reads: InputReads): void {
  const members = struct.values[0];
  if (members instanceof WireMap) writeMap(to, bytes, members, reads);
  else to.raw('{}');
}

/** A Value without a kind is null, as Go's `AsInterface` has it. */
function writeStructValue(to: JsonWriter, bytes: Buffer, value: Message, reads: InputReads = true): void {
  const slot = value.values.findIndex((candidate) => candidate !== undefined);
  const field = VALUE.fields[slot];
  const member = value.values[slot];
  if (field === undefined || member === undefined || field.name === 'nullValue') return to.raw('null');
  if (typeof member === 'object' && 'type' in member && member.type === LIST_VALUE) {
    return writeList(to, (member.values[0] ?? []) as Message[], (element) =>
      writeStructValue(to, bytes, element),
    );
  }
  writeValue(to, bytes, field, member, reads);
}

/** Fields with implicit presence are shown unless they hold their default; members of a oneof always. */
function isVisible(field: FieldType, value: FieldValue): boolean {
  if (field.oneof !== 0 || field.kind === 'message') return true;
  if (field.kind === 'map') return (value as WireMap<Message> | MadeMap).size > 0;
  if (typeof value === 'object') return (value as Span).end > (value as Span).start;
  return value !== 0 && value !== 0n && value !== false && !Object.is(value, -0);
}
