import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import { createPartsEncoder, PARTS } from '../../../src/grpc/encode-parts.ts';
import { loadEnvoyMessages } from '../../../src/grpc/messages.ts';

const TYPE = 'envoy.config.route.v3.RouteConfiguration';
const route = (path: string): JsonObject => ({
  name: path,
  match: { path, headers: [{ name: ':method', stringMatch: { exact: 'GET' } }] },
  directResponse: { status: 404 },
  typedPerFilterConfig: {
    rbac: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute',
      rbac: { rules: { policies: { a: { permissions: [{ any: true }], principals: [{ any: true }] } } } },
    },
  },
});
const table = (routes: readonly JsonObject[]): JsonObject => ({
  '@type': `type.googleapis.com/${TYPE}`,
  name: 'r',
  ignorePortInHostMatching: true,
  virtualHosts: [
    { name: 'a', domains: ['a.test', 'b.test'], routes },
    { name: '*', domains: ['*'], routes: [] },
    { name: 'c', domains: ['c.test'], routes: [route('/c'), ...routes] },
  ],
});
const messages = loadEnvoyMessages();

describe('a route table that is encoded in parts', () => {
  it('is the message that it says, each route in its place', () => {
    const value = table([route('/x'), route('/y')]);
    const { virtualHosts, ...rest } = messages.decodeResource(messages.encodeResource(value));
    const expected = value['virtualHosts'] as JsonObject[];
    const withoutEmpty = expected.map(({ routes, ...host }) => ({
      ...host,
      ...((routes as JsonObject[]).length > 0 && { routes }),
    }));
    expect(virtualHosts).toEqual(withoutEmpty);
    expect(rest).toEqual({ '@type': value['@type'], name: 'r', ignorePortInHostMatching: true });
  });

  it('has the same bytes whether its routes were encoded before or not', () => {
    const [x, y] = [route('/x'), route('/y')];
    const first = messages.encodeResource(table([x, y]));
    expect(messages.encodeResource(table([x, y])).bytes).toEqual(first.bytes);
    expect(loadEnvoyMessages().encodeResource(table([route('/x'), route('/y')])).bytes).toEqual(first.bytes);
  });

  it.each<[string, JsonObject]>([
    ['an unknown member of a route', { ...table([{ ...route('/x'), surprise: 1 }]) }],
    [
      'an unknown member of a host',
      { ...table([]), virtualHosts: [{ name: 'a', domains: ['*'], surprise: 1 }] },
    ],
    ['a host that is no message', { ...table([]), virtualHosts: ['a'] }],
    ['hosts that are no list', { ...table([]), virtualHosts: {} }],
    [
      'an unknown type within a route',
      table([{ ...route('/x'), typedPerFilterConfig: { a: { '@type': 'x/none.Such' } } }]),
    ],
  ])('is refused with %s', (_, value) => {
    expect(() => messages.encodeResource(value)).toThrow(/internal/);
  });

  it('encodes a route once, as long as it is the same object', () => {
    expect(Object.keys(PARTS)).toEqual([TYPE]);
    const encoded: unknown[] = [];
    const leaf = { typeName: 'leaf', fields: [] };
    const host = {
      typeName: 'host',
      fields: [{ jsonName: 'routes', fieldKind: 'list', listKind: 'message', number: 3, message: leaf }],
    };
    const root = {
      typeName: TYPE,
      fields: [
        { jsonName: 'virtualHosts', fieldKind: 'list', listKind: 'message', number: 2, message: host },
      ],
    };
    const encode = createPartsEncoder((_schema, fields) => {
      encoded.push(fields);
      return new Uint8Array([1]);
    });
    const [same, changed] = [route('/same'), route('/changed')];
    const once = (routes: readonly JsonObject[]) => {
      encoded.length = 0;
      encode(root as never, { virtualHosts: [{ name: 'a', routes: [...routes] }] });
      return encoded.filter((each) => each === same || each === changed);
    };
    expect(once([same])).toEqual([same]);
    expect(once([same, changed])).toEqual([changed]);
    expect(once([changed, same])).toEqual([]);
  });
});
