import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectForwarded, expectRefused } from '../support/counted.ts';
import { freePort } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { connectHttp2, type Http2Connection } from '../support/http-connection.ts';
import { rawRequest } from '../support/raw-http.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { createTlsFiles, type TlsFiles } from '../support/tls-files.ts';

/** Allows all, and tells the upstream which operation was asked for and which path the policy saw. */
const TELL = `package envoy.authz

asked := input.attributes.contextExtensions

allow := {"allowed": true, "headers": {
	"x-operation": concat("/", [asked.service, asked.operation]),
	"x-path": input.attributes.request.http.path,
}}
`;
const get = (id: string, path: string) => ({ id, method: 'GET', path });
const SHOP = [
  get('root', '/shop'),
  get('list', '/shop/items'),
  get('read', '/shop/items/{id}'),
  get('special', '/shop/items/special'),
  { id: 'create', method: 'POST', path: '/shop/items' },
  get('line', '/shop/orders/{order}/lines/{line}'),
  get('first-line', '/shop/orders/{order}/lines/first'),
  get('my-line', '/shop/orders/mine/lines/{line}'),
  get('price', '/shop/v1.0/a+b/{id}'),
];
const PARTS = [get('part', '/shop/items/parts/{id}')];

describe('operations on a real Envoy', () => {
  let stack: Stack;
  let port: number;
  let http2: Http2Connection;

  beforeAll(async () => {
    stack = await startStack();
    port = await freePort();
    await stack.publishAndRelease('tell', TELL);
    const asks = { access: 'policy', policy: 'tell' } as const;
    await stack.putService('shop', { ...asks, operations: SHOP });
    await stack.putService('parts', { ...asks, prefix: '/shop/items/parts', operations: PARTS });
    await stack.putService('whole', asks);
    await stack.putService('hosted', { ...asks, hosts: ['hosted.example'], prefix: '/hosted' });
    await stack.putNode('edge-1', {
      services: ['shop', 'parts', 'whole', 'hosted'],
      listener: { address: '127.0.0.1', port },
    });
    await stack.startNode('edge-1');
    await eventually('the policy answers', async () => (await rawRequest(port, '/whole')).status === 200);
    http2 = await connectHttp2(port);
  });
  afterAll(async () => {
    http2?.close();
    await stack?.stop();
  });

  /** Over both protocols: 200 by this operation, as this path. */
  const expectOperation = async (operation: string, path: string, method = 'GET', seenAs = path) => {
    for (const send of [() => rawRequest(port, path, { method }), () => http2.send(path, { method })]) {
      await expectForwarded(stack.upstream, send as () => ReturnType<Http2Connection['send']>);
      expect(stack.upstream.lastHeaders()['x-operation']).toBe(operation);
      expect(stack.upstream.lastHeaders()['x-path']).toBe(seenAs);
      expect(stack.upstream.lastPath()).toBe(seenAs);
    }
  };

  it.each([
    ['shop/root', '/shop'],
    ['shop/list', '/shop/items'],
    ['shop/read', '/shop/items/1'],
    ['shop/read', '/shop/items/specials'],
    ['shop/special', '/shop/items/special'],
    ['shop/line', '/shop/orders/1/lines/2'],
    ['shop/first-line', '/shop/orders/1/lines/first'],
    // of two that match, the one with the leftmost literal
    ['shop/my-line', '/shop/orders/mine/lines/first'],
    ['shop/price', '/shop/v1.0/a+b/7'],
    ['shop/list', '/shop/items?id=../x;y%2f%00'],
    ['parts/part', '/shop/items/parts/1'],
    ['whole/*', '/whole'],
    ['whole/*', '/whole/a/b/c'],
    ['whole/*', '/whole/'],
  ])('%s answers %s: a literal comes before a name', async (operation, path) => {
    await expectOperation(operation, path);
  });

  it('are told apart by method', async () => {
    await expectOperation('shop/list', '/shop/items', 'GET');
    await expectOperation('shop/create', '/shop/items', 'POST');
  });

  it.each([
    ['a path that no operation names', 'GET', '/shop/other', 404],
    ['a path below one', 'GET', '/shop/items/1/2', 404],
    ['a path above one', 'GET', '/shop/orders/1/lines', 404],
    ['no segment for a name', 'GET', '/shop/orders//lines/1', 404],
    ['a prefix of a literal', 'GET', '/shop/item', 404],
    ['a literal and more', 'GET', '/shop/itemsx', 404],
    ['a literal whose dot is another character', 'GET', '/shop/v1x0/a+b/7', 404],
    ['a literal whose plus is a repetition', 'GET', '/shop/v1.0/aab/7', 404],
    ['the root of the site', 'GET', '/', 404],
    ['the root of a service whose prefix is longer', 'GET', '/shop/items/parts', 404],
    ['a prefix that does not end at a segment', 'GET', '/wholesale', 404],
    ['a service of another host', 'GET', '/hosted/x', 404],
    ['another method', 'DELETE', '/shop/items', 404],
    ['HEAD where only GET is named', 'HEAD', '/shop/items', 404],
    ['OPTIONS where only GET is named', 'OPTIONS', '/shop/items', 404],
    ['a method in lower case', 'get', '/shop/items', 404],
    ['a trailing slash', 'GET', '/shop/items/', 404],
    ['a trailing slash behind a name', 'GET', '/shop/items/1/', 404],
    ['another case', 'GET', '/shop/ITEMS', 404],
    ['another case of the prefix', 'GET', '/Shop/items', 404],
    ['an encoded slash', 'GET', '/shop%2fitems', 400],
    ['an encoded slash in a name', 'GET', '/shop/items/a%2Fb', 400],
    ['an encoded backslash', 'GET', '/shop/items/a%5cb', 400],
    ['a path parameter', 'GET', '/shop/items;x=1', 400],
    ['a path parameter in a name', 'GET', '/shop/items/1;x=1', 400],
    ['a path parameter that hides dots', 'GET', '/whole/..;/shop/items', 404],
    ['an encoded semicolon', 'GET', '/shop/items%3bx=1', 404],
    ['an encoded NUL', 'GET', '/shop/items/1%00', 400],
    ['an encoded NUL behind a literal', 'GET', '/shop/items%00', 400],
    ['an escape that is encoded again', 'GET', '/shop/items%252f1', 404],
    ['an encoded question mark', 'GET', '/shop/items%3fx', 404],
    ['a cut escape', 'GET', '/shop/items/1%2', 400],
    ['an escape of no number', 'GET', '/shop/items/%zz', 400],
    ['dots that leave the site', 'GET', '/../../shop/other', 404],
    ['encoded dots that leave the service', 'GET', '/shop/%2e%2e/other', 404],
    ['dots that are encoded twice', 'GET', '/shop/%252e%252e/shop/items', 404],
    ['a fragment', 'GET', '/shop/items#x', 400],
    ['a byte that is no ASCII', 'GET', '/shop/items/\xe9', 400],
  ])('%s is answered without the upstream, over HTTP/1.1 and HTTP/2', async (_, method, path, status) => {
    await expectRefused(stack.upstream, (() => rawRequest(port, path, { method })) as never, status);
    await expectRefused(stack.upstream, () => http2.send(path, { method }), status);
    await expectForwarded(stack.upstream, () => http2.send('/shop/items'));
  });
});
