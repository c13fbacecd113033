/** Protobuf messages as tables and as what was read of them: see `protobuf-reader.ts`. */
import type { Span } from './span.ts';
import type { WireMap } from './wire-map.ts';

export type ScalarKind = 'string' | 'bytes' | 'int64' | 'int32' | 'uint32' | 'bool' | 'double';

/** A field as the table says it. */
export interface FieldSpec {
  readonly no: number;
  /** lowerCamelCase JSON name */
  readonly name: string;
  readonly kind: ScalarKind | 'message' | 'map';
  /** of a message, or of a map's values; a map without one holds strings */
  readonly message?: () => MessageType;
  readonly repeated?: boolean;
  /** fields with one oneof number exclude each other; from 1 */
  readonly oneof?: number;
  /** each entry of the map, or element of the list, is a header of the request */
  readonly isHeaders?: boolean;
}

/** A field as it is used: every member is there, since objects of one shape are read several times faster. */
export interface FieldType {
  readonly no: number;
  readonly name: string;
  /** `"name":` as bytes */
  readonly jsonKey: Uint8Array;
  readonly kind: ScalarKind | 'message' | 'map';
  readonly wireType: number;
  readonly message: (() => MessageType) | undefined;
  readonly repeated: boolean;
  /** 0: in no oneof */
  readonly oneof: number;
  readonly isHeaders: boolean;
}

export interface MessageType {
  readonly name: string;
  readonly fields: readonly FieldType[];
  /** index into `fields` by field number */
  readonly slotOf: readonly (number | undefined)[];
  /** as many as `fields`; copied for each message */
  readonly unset: readonly undefined[];
}

export type FieldValue = Span | number | bigint | boolean | Message | Message[] | WireMap<Message> | MadeMap;
/** A map that stands in place of what came: see `check-request.ts`. A string is a value that was made, not found. */
export type MadeMap = ReadonlyMap<string, Span | string>;

export interface Message {
  readonly type: MessageType;
  /** by slot; undefined = not on the wire */
  readonly values: (FieldValue | undefined)[];
}

export const VARINT = 0;
export const FIXED64 = 1;
export const LENGTH_DELIMITED = 2;

const WIRE_TYPES = {
  string: LENGTH_DELIMITED,
  bytes: LENGTH_DELIMITED,
  message: LENGTH_DELIMITED,
  map: LENGTH_DELIMITED,
  int64: VARINT,
  int32: VARINT,
  uint32: VARINT,
  bool: VARINT,
  double: FIXED64,
} as const;

/** @param specs  in any order; field numbers are small */
export function messageType(name: string, specs: readonly FieldSpec[]): MessageType {
  const slotOf: (number | undefined)[] = Array.from({
    length: Math.max(0, ...specs.map(({ no }) => no)) + 1,
  });
  specs.forEach(({ no }, slot) => {
    slotOf[no] = slot;
  });
  return { name, fields: specs.map(toField), slotOf, unset: specs.map(() => undefined) };
}

function toField(spec: FieldSpec): FieldType {
  const { no, name, kind, message, repeated = false, oneof = 0, isHeaders = false } = spec;
  const [jsonKey, wireType] = [Buffer.from(`"${name}":`), WIRE_TYPES[kind]];
  return { no, name, jsonKey, kind, wireType, message, repeated, oneof, isHeaders };
}

export function emptyMessage(type: MessageType): Message {
  return { type, values: type.unset.slice() };
}

/** The singular message in field `no`. */
export function messageAt(message: Message | undefined, no: number): Message | undefined {
  return valueAt(message, no) as Message | undefined;
}

/** The string or bytes in field `no`; undefined when absent or empty. */
export function spanAt(message: Message | undefined, no: number): Span | undefined {
  const span = valueAt(message, no) as Span | undefined;
  return span !== undefined && span.end > span.start ? span : undefined;
}

/** The map in field `no`, as it came. */
export function mapAt(message: Message | undefined, no: number): WireMap<Message> | undefined {
  return valueAt(message, no) as WireMap<Message> | undefined;
}

/** The elements of the repeated message in field `no`. */
export function listAt(message: Message | undefined, no: number): readonly Message[] {
  return (valueAt(message, no) as readonly Message[] | undefined) ?? [];
}

/** Puts a value in place of what the wire said; undefined takes it away. */
export function setValue(message: Message | undefined, no: number, value: FieldValue | undefined): void {
  const slot = message?.type.slotOf[no];
  if (message !== undefined && slot !== undefined) message.values[slot] = value;
}

function valueAt(message: Message | undefined, no: number): FieldValue | undefined {
  const slot = message?.type.slotOf[no];
  return slot === undefined ? undefined : message?.values[slot];
}
