import { describe, expect, it } from 'vitest';
import { CHECK_REQUEST } from '../../../src/ext-authz/check-request-types.ts';
import { type Message, messageAt, spanAt } from '../../../src/ext-authz/protobuf-message.ts';
import { MAX_HEADERS, readMessage } from '../../../src/ext-authz/protobuf-reader.ts';

const bytes = (...parts: (number | string | Buffer)[]): Buffer =>
  Buffer.concat(
    parts.map((part) => (typeof part === 'number' ? Buffer.from([part]) : Buffer.from(part as string))),
  );
const field = (no: number, content: Buffer): Buffer => bytes(no * 8 + 2, content.length, content);
const attributes = (content: Buffer): Buffer => field(1, content);
const http = (content: Buffer): Buffer => attributes(field(4, field(2, content)));
const read = (wire: Buffer): Message => readMessage(CHECK_REQUEST, wire);
const httpOf = (wire: Buffer) => messageAt(messageAt(messageAt(read(wire), 1), 4), 2);
const textOf = (wire: Buffer, no: number) => {
  const span = spanAt(httpOf(wire), no);
  return span && wire.toString('utf8', span.start, span.end);
};

describe('readMessage', () => {
  it.each<[string, Buffer]>([
    ['a tag that is cut off', bytes(0x8a)],
    ['a field number of zero', bytes(0x02, 0x00)],
    ['wire type 6', bytes(0x0e)],
    ['a tag beyond 32 bits', bytes(0x8a, 0x80, 0x80, 0x80, 0x10, 0x00)],
    ['a known field with another wire type', bytes(0x08, 0x00)],
    ['a length beyond the end', bytes(0x0a, 0x02, 0x00)],
    ['a length beyond 32 bits', bytes(0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01)],
    ['a value that runs over the end of its message', bytes(attributes(bytes(0x22, 0x02, 0x12)), 0x00)],
    ['a string that is not UTF-8', http(field(4, bytes(0xc3, 0x28)))],
    ['an overlong form', http(field(4, bytes(0xc0, 0x80)))],
    ['a surrogate in UTF-8', http(field(4, bytes(0xed, 0xa0, 0x80)))],
    ['a long string whose end is not UTF-8', http(field(4, bytes('a'.repeat(100), 0xff)))],
    ['a map key that is not UTF-8', http(field(3, field(1, bytes(0xff))))],
    ['a map value of another wire type', http(field(3, bytes(0x10, 0x01)))],
    ['a varint of eleven bytes', http(bytes(0x48, ...Array.from({ length: 10 }, () => 0x80), 0x01))],
    ['a varint beyond 64 bits', http(bytes(0x48, ...Array.from({ length: 9 }, () => 0xff), 0x02))],
    ['an unknown field that is cut off', bytes(0x79, 0x00)],
    ['the end of a group that never began', bytes(0x7c)],
    ['a group that never ends', bytes(0x7b)],
    ['groups that overlap', bytes(0x7b, 0x83, 0x01, 0x7c, 0x84, 0x01)],
    ['groups nested beyond 100', bytes(Buffer.alloc(100, 0x7b), Buffer.alloc(100, 0x7c))],
  ])('refuses %s', (_title, wire) => {
    expect(() => read(wire)).toThrow('request_malformed');
  });

  it('takes unknown fields of every wire type', () => {
    const unknown = bytes(
      0x78,
      0x01,
      0x79,
      Buffer.alloc(8),
      0x7a,
      0x01,
      0xff,
      0x7b,
      0x08,
      0x01,
      0x7c,
      0x7d,
      Buffer.alloc(4),
    );
    expect(textOf(bytes(unknown, http(field(4, bytes('/x'))), unknown), 4)).toBe('/x');
  });

  it('takes groups nested up to depth 100', () => {
    expect(read(bytes(Buffer.alloc(99, 0x7b), Buffer.alloc(99, 0x7c))).values).toEqual([undefined]);
  });

  it('merges a repeated singular message, and the last scalar wins', () => {
    const wire = bytes(
      http(bytes(field(2, bytes('GET')), field(4, bytes('/a')))),
      http(field(4, bytes('/b'))),
    );
    expect(textOf(wire, 2)).toBe('GET');
    expect(textOf(wire, 4)).toBe('/b');
  });

  it('counts a header as often as it comes, in whatever pieces of the message', () => {
    const plain = http(field(3, bytes(field(1, bytes('x-a')), field(2, bytes('1')))));
    const listed = http(field(13, field(1, Buffer.alloc(0))));
    const half = Array.from({ length: MAX_HEADERS / 2 }, () => [plain, listed]).flat();
    expect(() => read(bytes(...half))).not.toThrow();
    expect(() => read(bytes(...half, plain))).toThrow('more than 1000 headers');
    expect(() => read(bytes(...half, listed))).toThrow('more than 1000 headers');
  });

  it('forgets a member of a oneof when another one is set', () => {
    const source = (content: Buffer) => attributes(field(1, field(1, content)));
    const socket = source(field(1, field(2, bytes('10.0.0.1'))));
    const pipe = source(field(2, field(1, bytes('/run/x'))));
    const address = messageAt(messageAt(messageAt(read(bytes(socket, pipe, socket)), 1), 1), 1);
    expect(messageAt(address, 2)).toBeUndefined();
    expect(messageAt(address, 1)).toBeDefined();
    const other = messageAt(messageAt(messageAt(read(bytes(socket, pipe)), 1), 1), 1);
    expect(messageAt(other, 1)).toBeUndefined();
    expect(messageAt(other, 2)).toBeDefined();
  });
});
