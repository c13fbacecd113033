import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toInputReads } from '../../../src/core/input-reads.ts';
import { isJsonObject, type Json } from '../../../src/core/json.ts';
import { fromCheckRequest } from '../../../src/ext-authz/check-request.ts';
import { encodeCheckRequest } from '../../support/check-client.ts';

const text = (stringValue: string) => ({ stringValue });
const BYTES = encodeCheckRequest({
  attributes: {
    source: {
      address: { socket_address: { address: '10.0.0.1', port_value: 4711 } },
      principal: 'spiffe://test/app',
      labels: { zone: 'a', '': 'empty' },
    },
    request: {
      time: { seconds: '1790000000', nanos: 5 },
      http: {
        method: 'POST',
        path: '/a/b?x=1&y=2&x=3',
        headers: { ':path': '/a/b?x=1&y=2&x=3', 'content-type': 'application/json', 'x-user': 'é"\\' },
        size: '12',
        body: '{"a":{"b":[1,{"c":null}]},"d":"e"}',
      },
    },
    context_extensions: { service: 'orders', operation: 'read' },
    metadata_context: {
      filter_metadata: {
        jwt: {
          fields: {
            claims: {
              structValue: { fields: { sub: text('me'), roles: { listValue: { values: [text('r')] } } } },
            },
            iat: { numberValue: 1569026124 },
            none: { nullValue: 'NULL_VALUE' },
          },
        },
        empty: { fields: {} },
      },
    },
  },
});
const IDENTITY = { user: { issuer: 'i', subject: 's', claims: { a: [1] } } };
const request = () => fromCheckRequest(BYTES, { identityFields: true });
const inputOf = (paths?: readonly (readonly string[])[]): Json =>
  JSON.parse(Buffer.from(request().writeInput(IDENTITY, toInputReads(paths))).toString()) as Json;

const WHOLE = inputOf();

/** Every path of member names to something, lists being leaves. */
function pathsOf(value: Json, path: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [path];
  return [path, ...Object.entries(value).flatMap(([name, member]) => pathsOf(member, [...path, name]))];
}

function at(value: Json | undefined, path: readonly string[]): Json | undefined {
  return path.reduce<Json | undefined>((level, name) => {
    return isJsonObject(level) && Object.hasOwn(level, name) ? level[name] : undefined;
  }, value);
}

const PATHS = pathsOf(WHOLE).filter((path) => path.length > 0);
const aPath = fc.oneof(
  fc.constantFrom(...PATHS),
  fc
    .tuple(fc.constantFrom(...PATHS), fc.constantFrom('x', 'constructor', ''))
    .map(([path, name]) => [...path, name]),
  fc.constantFrom(['absent'], ['attributes', 'absent', 'x'], ['__proto__']),
);

describe('an input that is written for a policy', () => {
  it('has each thing that the policy can read, as the whole input has it', () => {
    expect(PATHS.length).toBeGreaterThan(40);
    fc.assert(
      fc.property(fc.array(aPath, { minLength: 1, maxLength: 8 }), (paths) => {
        const input = inputOf(paths);
        for (const path of paths) expect(at(input, path)).toEqual(at(WHOLE, path));
      }),
      { numRuns: 500 },
    );
  });

  it('has nothing else of the attributes', () => {
    fc.assert(
      fc.property(fc.array(aPath, { minLength: 1, maxLength: 8 }), (paths) => {
        const isPrefix = (short: readonly string[], long: readonly string[]): boolean =>
          short.every((name, index) => long[index] === name);
        const members = pathsOf(inputOf(paths)).filter(([first]) => first === 'attributes');
        for (const member of members) {
          expect(paths.some((path) => isPrefix(path, member) || isPrefix(member, path))).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('is the whole input where all of it is read, or nobody knows', () => {
    expect(inputOf([['parsed_path'], []])).toEqual(WHOLE);
    expect(inputOf(undefined)).toEqual(WHOLE);
  });

  it('is refused for what cannot be parsed, also where nobody reads that', () => {
    const bytes = encodeCheckRequest({ attributes: { request: { http: { method: 'GET', path: '/%zz' } } } });
    const bad = fromCheckRequest(bytes, { identityFields: true });
    expect(() => bad.writeInput({}, toInputReads([['identity']]))).toThrow();
  });
});
