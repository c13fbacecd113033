/**
 * Protobuf messages as trees of fields that can be damaged: the form in which a test keeps a message that is wrong
 * on purpose. Knows the wire format (protobuf.dev, "Encoding") and nothing of our reader.
 */
import type { DescField, DescMessage } from '@bufbuild/protobuf';

/** One field as it stands on the wire. */
export interface WireField {
  readonly no: number;
  readonly wireType: number;
  /** a varint's or a fixed value's bytes, or what a length stands before */
  readonly content: Buffer | readonly WireField[];
  /** of a string */
  readonly text: boolean;
  /** bytes that the tag and the length take more than they need */
  readonly padding?: { readonly tag?: number; readonly length?: number };
}

export const VARINT = 0;
export const FIXED64 = 1;
export const LENGTH_DELIMITED = 2;
export const START_GROUP = 3;
export const FIXED32 = 5;

/** The fields of a well-formed message. */
export function readFields(bytes: Buffer, desc: DescMessage): readonly WireField[] {
  return readAll(bytes, (no) => {
    const field = desc.fields.find((candidate) => candidate.number === no);
    return field === undefined ? undefined : shapeOf(field);
  });
}

/** How the content of a field is read: as a message with these fields, or as a string. */
type Shape = ((bytes: Buffer) => readonly WireField[]) | 'text' | undefined;

function shapeOf(field: DescField): Shape {
  if (field.fieldKind === 'map') {
    const value = field.mapKind === 'message' ? messageShape(field.message) : 'text';
    return (bytes) => readAll(bytes, (no) => (no === 1 ? 'text' : value));
  }
  if (field.message !== undefined) return messageShape(field.message);
  return field.fieldKind === 'scalar' && field.scalar === 9 ? 'text' : undefined;
}

function messageShape(message: DescMessage): Shape {
  return (bytes) => readFields(bytes, message);
}

function readAll(bytes: Buffer, shape: (no: number) => Shape): readonly WireField[] {
  const fields: WireField[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const [no, wireType] = [tag >>> 3, tag & 7];
    const start = at;
    if (wireType === VARINT) varint();
    else if (wireType === FIXED64) at += 8;
    else if (wireType === FIXED32) at += 4;
    const length = wireType === LENGTH_DELIMITED ? varint() : 0;
    const content = length > 0 ? bytes.subarray(at, at + length) : bytes.subarray(start, at);
    const known = shape(no);
    const isDelimited = wireType === LENGTH_DELIMITED;
    const own = isDelimited && length === 0 ? Buffer.alloc(0) : content;
    fields.push({
      no,
      wireType,
      content: isDelimited && typeof known === 'function' ? known(own) : own,
      text: isDelimited && known === 'text',
    });
    at += length;
  }
  return fields;
}

export function writeFields(fields: readonly WireField[]): Buffer {
  return Buffer.concat(fields.map(writeField));
}

function writeField({ no, wireType, content, padding }: WireField): Buffer {
  const bytes = Buffer.isBuffer(content) ? content : writeFields(content as readonly WireField[]);
  const tag = varintOf(no * 8 + wireType, padding?.tag);
  if (wireType !== LENGTH_DELIMITED) return Buffer.concat([tag, bytes]);
  return Buffer.concat([tag, varintOf(bytes.length, padding?.length), bytes]);
}

/** @param padding  bytes more than needed: the same number to whoever reads it, up to ten bytes together */
export function varintOf(value: number, padding = 0): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    bytes.push(rest % 128);
    if (rest < 128) break;
  }
  bytes.push(...Array.from({ length: padding }, () => 0));
  return Buffer.from(bytes.map((byte, index) => (index < bytes.length - 1 ? byte | 0x80 : byte)));
}

/** `levels` Structs, one in the other, each under the name `a`: the fields of the outermost. */
export function nestedStruct(levels: number): Buffer {
  // from the inside to the outside, each piece in front of the one before
  const pieces: Buffer[] = [];
  let length = 0;
  const wrap = (tag: number, before = Buffer.alloc(0)): void => {
    length += before.length;
    const head = Buffer.concat([Buffer.from([tag]), varintOf(length), before]);
    pieces.push(head);
    length += head.length - before.length;
  };
  const key = Buffer.from([0x0a, 1, 0x61]);
  for (let level = 0; level < levels; level += 1) {
    if (level > 0) wrap(0x2a);
    wrap(0x12);
    wrap(0x0a, key);
  }
  return Buffer.concat(pieces.reverse());
}
