import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import { fromCheckRequest } from '../../../src/ext-authz/check-request.ts';
import { aCheckRequest, encodeCheckRequest } from '../../support/check-client.ts';

const BELIEVED = { identityFields: true };

function inputText(request: object, identity: JsonObject = {}, belief = BELIEVED): string {
  const input = fromCheckRequest(encodeCheckRequest(request), belief).writeInput(identity);
  return new TextDecoder('utf-8', { fatal: true }).decode(input);
}
function inputOf(request: object, identity: JsonObject = {}, belief = BELIEVED): unknown {
  return JSON.parse(inputText(request, identity, belief));
}
const VERSION = { ext_authz: 'v3', encoding: 'protojson' };
const number = (value: number) => ({ numberValue: value });

describe('the Rego input', () => {
  it('of an empty CheckRequest has no attributes and an empty path', () => {
    const input = fromCheckRequest(new Uint8Array(), BELIEVED).writeInput({});
    expect(JSON.parse(Buffer.from(input).toString())).toEqual({
      parsed_path: [''],
      parsed_query: {},
      parsed_body: null,
      truncated_body: false,
      version: VERSION,
      identity: {},
    });
  });

  it('shows every field of a CheckRequest as opa-envoy-plugin does', () => {
    const request = {
      attributes: {
        source: {
          address: { socket_address: { protocol: 'UDP', address: '10.0.0.1', port_value: 0 } },
          service: 'web',
          labels: { zone: 'z1' },
          principal: 'spiffe://mesh/app/a',
          certificate: 'cert',
        },
        destination: { address: { pipe: { path: '/run/x', mode: 420 } } },
        request: {
          time: { seconds: '1750000000', nanos: 5 },
          http: {
            id: '7',
            method: 'POST',
            headers: { ':path': '/x', 'content-type': 'application/json', 'x-"q"\\': 'tab\tend' },
            path: '/x/y?a=1&a=2',
            host: 'h',
            scheme: 'https',
            size: '-1',
            protocol: 'HTTP/2',
            body: '{"n":1.0}',
            raw_body: Buffer.from([1, 2, 3]),
          },
        },
        context_extensions: { service: 'orders' },
        metadata_context: {
          filter_metadata: {
            jwt: {
              fields: {
                iat: number(1569026124),
                small: number(0.00001),
                whole: number(5),
                half: number(0.5),
                none: { nullValue: 'NULL_VALUE' },
                unset: {},
                yes: { boolValue: true },
                text: { stringValue: '' },
                list: { listValue: { values: [{ stringValue: 'ä' }, { structValue: { fields: {} } }] } },
              },
            },
          },
          typed_filter_metadata: { t: { type_url: 'type.googleapis.com/x', value: Buffer.from([0xff]) } },
        },
        route_metadata_context: {},
        tls_session: { sni: 'example.test' },
      },
    };
    const text = inputText(request, { user: { subject: 'a' } });
    expect(JSON.parse(text)).toEqual({
      attributes: {
        source: {
          address: { socketAddress: { protocol: 1, address: '10.0.0.1', portValue: 0 } },
          service: 'web',
          labels: { zone: 'z1' },
          principal: 'spiffe://mesh/app/a',
          certificate: 'cert',
        },
        destination: { address: { pipe: { path: '/run/x', mode: 420 } } },
        request: {
          time: { seconds: 1750000000, nanos: 5 },
          http: {
            id: '7',
            method: 'POST',
            headers: { ':path': '/x', 'content-type': 'application/json', 'x-"q"\\': 'tab\tend' },
            path: '/x/y?a=1&a=2',
            host: 'h',
            scheme: 'https',
            size: -1,
            protocol: 'HTTP/2',
            body: '{"n":1.0}',
            rawBody: 'AQID',
          },
        },
        contextExtensions: { service: 'orders' },
        metadataContext: {
          filterMetadata: {
            jwt: {
              iat: 1569026124,
              small: 0.00001,
              whole: 5,
              half: 0.5,
              none: null,
              unset: null,
              yes: true,
              text: '',
              list: ['ä', {}],
            },
          },
          typedFilterMetadata: { t: { typeUrl: 'type.googleapis.com/x', value: '/w==' } },
        },
        routeMetadataContext: {},
        tlsSession: { sni: 'example.test' },
      },
      parsed_path: ['x', 'y'],
      parsed_query: { a: ['1', '2'] },
      parsed_body: { n: 1 },
      truncated_body: false,
      version: VERSION,
      source_principal: 'spiffe://mesh/app/a',
      identity: { user: { subject: 'a' } },
    });
    expect(text).toContain('"iat":1.569026124e+09');
    expect(text).toContain('"small":1e-05');
    expect(text).toContain('"parsed_body":{"n":1.0}');
  });

  it('leaves out what holds its default and shows messages that are set but empty', () => {
    expect(
      inputOf(aCheckRequest({ method: '' }, { tls_session: {}, metadata_context: {}, source: {} })),
    ).toMatchObject({
      attributes: {
        request: { http: { path: '/', host: 'example.test', scheme: 'http', protocol: 'HTTP/1.1' } },
        tlsSession: {},
        metadataContext: {},
        source: {},
      },
    });
  });

  it('rebuilds headers from header_map in lower case, joined, and parses the body by them', () => {
    const header = (key: string, value: string | Buffer) => ({ key, raw_value: Buffer.from(value) });
    const request = aCheckRequest({
      header_map: {
        headers: [
          header('Content-Type', 'application/json'),
          header('x-a', '1'),
          header('X-A', '2'),
          header('x-odd', Buffer.from([0x61, 0xff])),
          { key: 'x-plain', value: 'v' },
        ],
      },
      raw_body: Buffer.from('[1]'),
    });
    expect(inputOf(request)).toMatchObject({
      attributes: {
        request: {
          http: {
            headers: { 'content-type': 'application/json', 'x-a': '1,2', 'x-odd': 'a\uFFFD', 'x-plain': 'v' },
            headerMap: {
              headers: [
                { key: 'Content-Type', rawValue: 'YXBwbGljYXRpb24vanNvbg==' },
                { key: 'x-a', rawValue: 'MQ==' },
                { key: 'X-A', rawValue: 'Mg==' },
                { key: 'x-odd', rawValue: 'Yf8=' },
                { key: 'x-plain', value: 'v' },
              ],
            },
          },
        },
      },
      parsed_body: [1],
    });
  });

  it('joins headers of both forms, and refuses a name that stands in both', () => {
    const header_map = { headers: [{ key: 'x-a', raw_value: Buffer.from('1') }] };
    expect(inputOf(aCheckRequest({ header_map, headers: { 'x-b': '2' } }))).toMatchObject({
      attributes: { request: { http: { headers: { 'x-a': '1', 'x-b': '2' } } } },
    });
    expect(() => inputOf(aCheckRequest({ header_map, headers: { 'x-a': '2' } }))).toThrow(
      'request_malformed',
    );
  });

  it('can be written twice', () => {
    const request = fromCheckRequest(
      encodeCheckRequest(aCheckRequest({ header_map: { headers: [{ key: 'x-a', value: '1' }] } })),
      BELIEVED,
    );
    expect(request.writeInput({})).toEqual(request.writeInput({}));
    expect(request.headerValues('x-a')).toEqual(['1']);
  });

  it('holds no raw control character and no surrogate, whatever the identity says', () => {
    const text = inputText(aCheckRequest({ headers: { 'x\0': 'a\0b\n' } }), {
      user: { claims: { 'k\ud800': ['\udc00', '\\ud800', '\0'] } },
    });
    // oxlint-disable-next-line no-control-regex
    expect(text).not.toMatch(/[\u0000-\u001f]/);
    expect(JSON.parse(text)).toMatchObject({
      attributes: { request: { http: { headers: { 'x\0': 'a\0b\n' } } } },
      identity: { user: { claims: { 'k\uFFFD': ['\uFFFD', '\\ud800', '\0'] } } },
    });
  });

  it('has no identity fields when the peer is not believed', () => {
    const peer = { principal: 'spiffe://mesh/app/a', certificate: 'cert', service: 'web' };
    const request = aCheckRequest({}, { source: peer, destination: peer });
    const unbelieved = fromCheckRequest(encodeCheckRequest(request), { identityFields: false });
    const input = JSON.parse(Buffer.from(unbelieved.writeInput({})).toString());
    expect([unbelieved.sourcePrincipal, unbelieved.sourceCertificate]).toEqual(['', '']);
    expect(input.attributes.source).toEqual({ service: 'web' });
    expect(input.attributes.destination).toEqual({ service: 'web' });
    expect(input).not.toHaveProperty('source_principal');
  });

  it('is refused when a number of the metadata is not finite', () => {
    const metadata_context = { filter_metadata: { x: { fields: { n: number(Number.NaN) } } } };
    expect(() => inputOf(aCheckRequest({}, { metadata_context }))).toThrow('request_malformed');
  });
});

describe('the request as decision sees it', () => {
  it('tells context extensions, principal, certificate and each value of a header', () => {
    const request = fromCheckRequest(
      encodeCheckRequest(
        aCheckRequest(
          {
            header_map: {
              headers: [
                { key: 'authorization', raw_value: Buffer.from('Bearer a') },
                { key: 'Authorization', value: 'Bearer b' },
              ],
            },
          },
          { source: { principal: 'p', certificate: 'c' }, context_extensions: { service: 'orders' } },
        ),
      ),
      BELIEVED,
    );
    expect(request.headerValues('authorization')).toEqual(['Bearer a', 'Bearer b']);
    expect(request.headerValues('cookie')).toEqual([]);
    expect(request.sourcePrincipal).toBe('p');
    expect(request.sourceCertificate).toBe('c');
    expect(request.contextExtension('service')).toBe('orders');
    expect(request.contextExtension('policy')).toBeUndefined();
    expect(request.contextExtension('constructor')).toBeUndefined();
  });
});
