/**
 * Our reader of CheckRequests against a strict decoder that we did not write: what that one refuses we refuse, and
 * what we take means the same to both.
 */
import { type Message as Decoded, type DescMessage, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { CHECK_REQUEST, VALUE } from '../../src/ext-authz/check-request-types.ts';
import type { FieldValue, Message } from '../../src/ext-authz/protobuf-message.ts';
import { readMessage } from '../../src/ext-authz/protobuf-reader.ts';
import { WireMap } from '../../src/ext-authz/wire-map.ts';
import { encodeCheckRequest } from '../support/check-client.ts';
import { compileOracle } from '../support/oracle-schema.ts';

let oracle: DescMessage;
beforeAll(() => {
  oracle = compileOracle('envoy/service/auth/v3/external_auth.proto', 'envoy.service.auth.v3.CheckRequest');
});

/** What was read, as plain values under JSON names; unset fields are left out. */
function plain(message: Message, bytes: Buffer): unknown {
  const entries = message.type.fields.flatMap((field, slot) => {
    const value = message.values[slot];
    if (value === undefined) return [];
    const converted = plainValue(value, bytes, field.kind === 'bytes');
    return field.oneof === 0 && isDefault(converted) ? [] : [[field.name, converted] as const];
  });
  return message.type === VALUE ? asJsonValue(Object.fromEntries(entries)) : Object.fromEntries(entries);
}
/** The oracle keeps a Struct as JSON: no kind, or any number of a null, is null, and NaN cannot be; so do we in the end. */
function asJsonValue(value: Readonly<Record<string, unknown>>): unknown {
  const number = value['numberValue'];
  if (typeof number === 'number' && !Number.isFinite(number)) throw new Error('not finite');
  return Object.keys(value).length === 0 || 'nullValue' in value ? { nullValue: 0 } : value;
}
function plainValue(value: FieldValue, bytes: Buffer, binary: boolean): unknown {
  if (typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map((element) => plain(element, bytes));
  if ('start' in value) return bytes.toString(binary ? 'base64' : 'utf8', value.start, value.end);
  if ('type' in value) return plain(value, bytes);
  if (!(value instanceof WireMap)) throw new Error('a map that did not come with the message');
  return new Map(
    value
      .distinct()
      .map((entry) => [
        value.keyTextAt(entry),
        plainValue(value.messageAt(entry) ?? value.valueAt(entry), bytes, false),
      ]),
  );
}
function isDefault(value: unknown): boolean {
  return (
    value === '' ||
    value === 0 ||
    value === 0n ||
    value === false ||
    (Array.isArray(value) && value.length === 0) ||
    (value instanceof Map && value.size === 0)
  );
}

/** The same of what the oracle read. */
function plainOracle(message: ReflectMessage): unknown {
  const entries = message.fields
    .filter((field) => message.isSet(field))
    .map((field) => [field.jsonName, oracleField(message, field)] as const);
  return Object.fromEntries(entries);
}
function oracleField(message: ReflectMessage, field: ReflectMessage['fields'][number]): unknown {
  switch (field.fieldKind) {
    case 'message':
      return plainOracle(message.get(field));
    case 'list':
      return [...message.get(field)].map((element) => plainOracle(element as ReflectMessage));
    case 'map':
      return new Map(
        [...message.get(field)].map(([key, value]) => [
          key as string,
          typeof value === 'object' ? plainOracle(value as ReflectMessage) : value,
        ]),
      );
    case 'scalar':
    case 'enum': {
      const value: unknown = message.get(field);
      return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
    }
    default:
      return field satisfies never;
  }
}

type Outcome = { readonly refused: true } | { readonly refused: false; readonly value: unknown };
function attempt(read: () => unknown): Outcome {
  try {
    return { refused: false, value: read() };
  } catch {
    return { refused: true };
  }
}
const ours = (bytes: Buffer): Outcome => attempt(() => plain(readMessage(CHECK_REQUEST, bytes), bytes));
const theirs = (bytes: Buffer): Outcome =>
  attempt(() => plainOracle(reflect(oracle, fromBinary(oracle, bytes))));

function expectAgreement(bytes: Buffer): 'taken' | 'refused' {
  const mine = ours(bytes);
  if (mine.refused) return 'refused';
  expect(theirs(bytes)).toEqual(mine);
  return 'taken';
}

const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const dictionary = <T>(value: fc.Arbitrary<T>) => fc.dictionary(text, value, { maxKeys: 4 });
const struct = fc.letrec<{ value: object; struct: object }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constant({}),
    fc.constant({ nullValue: 'NULL_VALUE' }),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((numberValue) => ({ numberValue })),
    text.map((stringValue) => ({ stringValue })),
    fc.boolean().map((boolValue) => ({ boolValue })),
    tie('struct').map((structValue) => ({ structValue })),
    fc.array(tie('value'), { maxLength: 3 }).map((values) => ({ listValue: { values } })),
  ),
  struct: dictionary(tie('value')).map((fields) => ({ fields })),
})).struct;
const bytesValue = fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes));
const address = fc.oneof(
  fc
    .record(
      {
        protocol: fc.constantFrom('TCP', 'UDP'),
        address: text,
        port_value: fc.nat(65535),
        ipv4_compat: fc.boolean(),
      },
      { requiredKeys: [] },
    )
    .map((socket_address) => ({ socket_address })),
  fc.record({ path: text, mode: fc.nat(511) }, { requiredKeys: [] }).map((pipe) => ({ pipe })),
  fc
    .record({ server_listener_name: text, endpoint_id: text }, { requiredKeys: [] })
    .map((envoy_internal_address) => ({ envoy_internal_address })),
);
const peer = fc.record(
  { address, service: text, labels: dictionary(text), principal: text, certificate: text },
  { requiredKeys: [] },
);
const metadata = fc.record(
  {
    filter_metadata: dictionary(struct),
    typed_filter_metadata: dictionary(fc.record({ type_url: text, value: bytesValue })),
  },
  { requiredKeys: [] },
);
const http = fc.record(
  {
    id: text,
    method: text,
    headers: dictionary(text),
    header_map: fc.record({
      headers: fc.array(fc.record({ key: text, value: text, raw_value: bytesValue }, { requiredKeys: [] }), {
        maxLength: 4,
      }),
    }),
    path: text,
    host: text,
    size: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
    body: text,
    raw_body: bytesValue,
  },
  { requiredKeys: [] },
);
const request = fc.record(
  {
    attributes: fc.record(
      {
        source: peer,
        destination: peer,
        request: fc.record(
          { time: fc.record({ seconds: fc.nat().map(String), nanos: fc.nat(999_999_999) }), http },
          { requiredKeys: [] },
        ),
        context_extensions: dictionary(text),
        metadata_context: metadata,
        route_metadata_context: metadata,
        tls_session: fc.record({ sni: text }, { requiredKeys: [] }),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: [] },
);

/** A change of the bytes: one overwritten, one inserted, a piece removed or repeated. */
const mutation = fc.record({
  kind: fc.constantFrom('set', 'insert', 'remove', 'repeat'),
  at: fc.nat(),
  length: fc.integer({ min: 1, max: 20 }),
  byte: fc.nat(255),
});
function mutate(
  bytes: Buffer,
  { kind, at, length, byte }: { kind: string; at: number; length: number; byte: number },
): Buffer {
  const place = bytes.length === 0 ? 0 : at % bytes.length;
  const [before, after] = [bytes.subarray(0, place), bytes.subarray(place)];
  switch (kind) {
    case 'set':
      return Buffer.concat([before, Buffer.from([byte]), after.subarray(1)]);
    case 'insert':
      return Buffer.concat([before, Buffer.from([byte]), after]);
    case 'remove':
      return Buffer.concat([before, after.subarray(length)]);
    default:
      return Buffer.concat([before, after.subarray(0, length), after]);
  }
}

describe('our reader of CheckRequests and a strict decoder', () => {
  it('read the same from every valid request, and from two of them one after the other', () => {
    fc.assert(
      fc.property(request, request, (one, other) => {
        const first = encodeCheckRequest(one);
        expect(expectAgreement(first)).toBe('taken');
        expect(expectAgreement(Buffer.concat([first, encodeCheckRequest(other)]))).toBe('taken');
      }),
      { numRuns: 300, endOnFailure: true },
    );
  });

  it('agree on damaged requests: what the decoder refuses is refused, what is taken is read alike', () => {
    let taken = 0;
    let refused = 0;
    fc.assert(
      fc.property(request, fc.array(mutation, { minLength: 1, maxLength: 4 }), (value, mutations) => {
        const outcome = expectAgreement(mutations.reduce(mutate, encodeCheckRequest(value)));
        if (outcome === 'taken') taken += 1;
        else refused += 1;
      }),
      { numRuns: 3000, endOnFailure: true },
    );
    // both happen, or the property says nothing
    expect(Math.min(taken, refused)).toBeGreaterThan(100);
  });

  it('agree on bytes of any kind', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        expectAgreement(Buffer.from(bytes));
      }),
      { numRuns: 2000, endOnFailure: true },
    );
  });

  it('take a Struct as deep as the decoder does, and no deeper', () => {
    const nested = (levels: number): Buffer => {
      let value: object = { stringValue: 'x' };
      for (let level = 0; level < levels; level++) value = { structValue: { fields: { a: value } } };
      return encodeCheckRequest({
        attributes: { metadata_context: { filter_metadata: { m: { fields: { a: value } } } } },
      });
    };
    const deepest = (read: (bytes: Buffer) => Outcome) => {
      let levels = 0;
      while (!read(nested(levels + 1)).refused) levels += 1;
      return levels;
    };
    expect(deepest(ours)).toBe(deepest(theirs));
    expect(deepest(ours)).toBeGreaterThan(40);
  });

  it('read again what the other library wrote', () => {
    fc.assert(
      fc.property(request, (value) => {
        const decoded: Decoded = fromBinary(oracle, encodeCheckRequest(value));
        expect(expectAgreement(Buffer.from(toBinary(oracle, decoded)))).toBe('taken');
      }),
      { numRuns: 100, endOnFailure: true },
    );
  });
});
