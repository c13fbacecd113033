/**
 * A strict reader of the protobuf wire format (protobuf.dev, "Encoding"), driven by a table of messages.
 *
 * One pass checks all of the bytes, fields that nobody reads and unknown ones included: tags, wire types, lengths,
 * UTF-8, groups, depth. It keeps where values stand; strings are made when somebody asks. Where decoders of other
 * languages disagree (a known field with another wire type, a value that runs over the end of its message, varints
 * with bits beyond 64) it refuses, so that nobody can show one request to us and another one to somebody else.
 *
 * Headers are counted as they come, in both forms together; one that is there twice counts twice.
 *
 * As protobuf says: a repeated singular message merges, the last scalar wins, setting a member of a oneof clears its
 * siblings, of several map entries with one key the last stays.
 */
import { isUtf8 } from 'node:buffer';
import { Failure } from '../core/failure.ts';
import {
  emptyMessage,
  FIXED64,
  type FieldType,
  LENGTH_DELIMITED,
  type Message,
  type MessageType,
  VARINT,
} from './protobuf-message.ts';
import type { Span } from './span.ts';
import { WireMap } from './wire-map.ts';

const MAX_DEPTH = 100;
/** Envoy lets 100 pass unless told otherwise, and adds some of its own. */
export const MAX_HEADERS = 1_000;
const START_GROUP = 3;
const END_GROUP = 4;
const FIXED32 = 5;

/**
 * Checks and indexes one message.
 *
 * @throws Failure request_malformed
 */
export function readMessage(type: MessageType, bytes: Buffer): Message {
  return new Reader(bytes).message(type, bytes.length, 1, undefined);
}

/** Whether the bytes are UTF-8 (no surrogates, no overlong forms). Short ASCII, the usual case, stays in JavaScript. */
export function isUtf8Part(bytes: Buffer, start: number, end: number): boolean {
  if (end - start > 128) return isUtf8(bytes.subarray(start, end));
  for (let at = start; at < end; at++) {
    if ((bytes[at] as number) > 0x7f) return isUtf8(bytes.subarray(at, end));
  }
  return true;
}

function malformed(what: string): Failure {
  return new Failure('request_malformed', `the CheckRequest is not valid protobuf: ${what}`);
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;
  #headers = 0;
  /** low and high word of the varint read last */
  #low = 0;
  #high = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  message(type: MessageType, end: number, depth: number, into: Message | undefined): Message {
    if (depth > MAX_DEPTH) throw malformed('nested too deeply');
    const message = into ?? emptyMessage(type);
    while (this.#at < end) {
      const tag = this.#tag(end);
      const slot = type.slotOf[tag >>> 3];
      const field = slot === undefined ? undefined : type.fields[slot];
      if (slot === undefined || field === undefined) this.#skip(tag, end, depth);
      else this.#field(message, slot, field, tag & 7, end, depth);
    }
    return message;
  }

  #field(
    message: Message,
    slot: number,
    field: FieldType,
    wireType: number,
    end: number,
    depth: number,
  ): void {
    if (wireType !== field.wireType) throw malformed(`wire type of ${message.type.name}.${field.name}`);
    const values = message.values;
    const before = values[slot];
    if (field.oneof !== 0) clearSiblings(message, field.oneof, slot);
    if (field.isHeaders) this.#countHeader();
    switch (field.kind) {
      case 'message': {
        const type = typeOf(field);
        const stop = this.#length(end);
        if (!field.repeated) {
          values[slot] = this.message(type, stop, depth + 1, before as Message | undefined);
        } else {
          const element = this.message(type, stop, depth + 1, undefined);
          if (before === undefined) values[slot] = [element];
          else (before as Message[]).push(element);
        }
        return;
      }
      case 'map': {
        const map = (before as WireMap<Message> | undefined) ?? new WireMap(this.#bytes);
        this.#mapEntry(map, field, this.#length(end), depth);
        values[slot] = map;
        return;
      }
      case 'string': {
        const stop = this.#text(end, message.type, field);
        values[slot] = { start: this.#at, end: stop };
        this.#at = stop;
        return;
      }
      case 'bytes':
        values[slot] = this.#span(end);
        return;
      case 'double':
        this.#need(8, end);
        values[slot] = this.#bytes.readDoubleLE(this.#at - 8);
        return;
      case 'int64':
        this.#varint(end);
        values[slot] = (BigInt(this.#high | 0) << 32n) | BigInt(this.#low >>> 0);
        return;
      case 'int32':
        this.#varint(end);
        values[slot] = this.#low | 0;
        return;
      case 'uint32':
        this.#varint(end);
        values[slot] = this.#low >>> 0;
        return;
      case 'bool':
        this.#varint(end);
        values[slot] = (this.#low | this.#high) !== 0;
        return;
      default:
        field.kind satisfies never;
    }
  }

  /** Before anything is made of it: a megabyte holds half a million empty ones. */
  #countHeader(): void {
    this.#headers += 1;
    if (this.#headers > MAX_HEADERS) {
      throw new Failure('request_malformed', `the CheckRequest has more than ${MAX_HEADERS} headers`);
    }
  }

  /** Key in field 1, value in field 2; either may be missing, and a repeated message value merges within its entry. */
  #mapEntry(map: WireMap<Message>, field: FieldType, end: number, depth: number): void {
    let [keyStart, keyEnd, valueStart, valueEnd] = [0, 0, 0, 0];
    let value: Message | undefined;
    const type = field.message === undefined ? undefined : field.message();
    while (this.#at < end) {
      const tag = this.#tag(end);
      const no = tag >>> 3;
      if (no !== 1 && no !== 2) {
        this.#skip(tag, end, depth);
        continue;
      }
      if ((tag & 7) !== LENGTH_DELIMITED) throw malformed(`wire type in an entry of ${field.name}`);
      if (no === 2 && type !== undefined) {
        value = this.message(type, this.#length(end), depth + 1, value);
        continue;
      }
      const stop = this.#text(end, undefined, field);
      if (no === 1) [keyStart, keyEnd] = [this.#at, stop];
      else [valueStart, valueEnd] = [this.#at, stop];
      this.#at = stop;
    }
    if (type === undefined) map.add(keyStart, keyEnd, valueStart, valueEnd);
    else map.addMessage(keyStart, keyEnd, value ?? emptyMessage(type));
  }

  #tag(end: number): number {
    const start = this.#at;
    this.#varint(end);
    if (this.#high !== 0 || this.#at - start > 5) throw malformed('a tag beyond 32 bits');
    const tag = this.#low >>> 0;
    if (tag < 8 || (tag & 7) > FIXED32) throw malformed('an impossible tag');
    return tag;
  }

  /** @returns where the text that begins here ends */
  #text(end: number, type: MessageType | undefined, field: FieldType): number {
    const stop = this.#length(end);
    if (!isUtf8Part(this.#bytes, this.#at, stop))
      throw malformed(`${type?.name ?? 'map'}.${field.name} is not UTF-8`);
    return stop;
  }

  #span(end: number): Span {
    const stop = this.#length(end);
    const span = { start: this.#at, end: stop };
    this.#at = stop;
    return span;
  }

  /** @returns where the length-delimited value that begins here ends */
  #length(end: number): number {
    this.#varint(end);
    const length = this.#low >>> 0;
    if (this.#high !== 0 || length > end - this.#at) throw malformed('a length beyond the end');
    return this.#at + length;
  }

  #need(count: number, end: number): void {
    if (count > end - this.#at) throw malformed('cut off');
    this.#at += count;
  }

  /** At most 10 bytes and 64 bits, into `#low` and `#high`. */
  #varint(end: number): void {
    const bytes = this.#bytes;
    if (this.#at >= end) throw malformed('cut off');
    const first = bytes[this.#at] as number;
    this.#high = 0;
    if (first < 0x80) {
      this.#at += 1;
      this.#low = first;
      return;
    }
    let low = 0;
    let high = 0;
    for (let index = 0; index < 10; index++) {
      if (this.#at >= end) throw malformed('cut off');
      const byte = bytes[this.#at++] as number;
      const bits = byte & 0x7f;
      if (index < 4) low |= bits << (index * 7);
      else if (index === 4) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (index * 7 - 32);
      if (index === 9 && byte > 1) throw malformed('a varint beyond 64 bits');
      if (byte < 0x80) break;
    }
    this.#low = low;
    this.#high = high;
  }

  #skip(tag: number, end: number, depth: number): void {
    switch (tag & 7) {
      case VARINT:
        this.#varint(end);
        return;
      case FIXED64:
        this.#need(8, end);
        return;
      case LENGTH_DELIMITED:
        this.#at = this.#length(end);
        return;
      case FIXED32:
        this.#need(4, end);
        return;
      case START_GROUP:
        this.#skipGroup(tag >>> 3, end, depth + 1);
        return;
      default:
        throw malformed('the end of a group that never began');
    }
  }

  #skipGroup(no: number, end: number, depth: number): void {
    if (depth > MAX_DEPTH) throw malformed('nested too deeply');
    for (;;) {
      const tag = this.#tag(end);
      if ((tag & 7) !== END_GROUP) {
        this.#skip(tag, end, depth);
        continue;
      }
      if (tag >>> 3 !== no) throw malformed('groups that overlap');
      return;
    }
  }
}

function typeOf(field: FieldType): MessageType {
  const type = field.message === undefined ? undefined : field.message();
  if (type === undefined) throw new Failure('internal', `no message type for ${field.name}`);
  return type;
}

function clearSiblings(message: Message, oneof: number, slot: number): void {
  const fields = message.type.fields;
  for (let other = 0; other < fields.length; other++) {
    if (other !== slot && fields[other]?.oneof === oneof) message.values[other] = undefined;
  }
}
