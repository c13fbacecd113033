import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectForwarded, expectRefused } from '../support/counted.ts';
import { freePort } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { connectHttp2, type SendOptions } from '../support/http-connection.ts';
import type { ClientTls } from '../support/http-request.ts';
import { rawRequest } from '../support/raw-http.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { createTlsFiles, type TlsFiles } from '../support/tls-files.ts';

/** Allows all, and tells the upstream which operation was asked for, and which path and host the policy saw. */
const TELL = `package envoy.authz

asked := input.attributes.contextExtensions

http := input.attributes.request.http

allow := {"allowed": true, "headers": {
	"x-operation": concat("/", [asked.service, asked.operation]),
	"x-path": http.path,
	"x-host": http.host,
}}
`;
const get = (id: string, path: string) => ({ id, method: 'GET', path });
const SHOP = [
  get('root', '/shop'),
  get('list', '/shop/items'),
  get('read', '/shop/items/{id}'),
  get('special', '/shop/items/special'),
  get('signs', '/shop/items/a:b+c'),
  { id: 'create', method: 'POST', path: '/shop/items' },
  get('line', '/shop/orders/{order}/lines/{line}'),
  get('first-line', '/shop/orders/{order}/lines/first'),
  get('my-line', '/shop/orders/mine/lines/{line}'),
  get('price', '/shop/v1.0/a+b/{id}'),
];
const PARTS = [get('part', '/shop/items/parts/{id}')];

/** Paths of operations with a few changes that some back end might not see, or might see as others. */
const nearMisses = fc
  .tuple(
    fc.constantFrom(
      ...['/shop', '/shop/items', '/shop/items/1', '/shop/items/special', '/shop/items/a:b+c', '/whole/a'],
      ...[
        '/shop/orders/1/lines/2',
        '/shop/orders/1/lines/first',
        '/shop/orders/mine/lines/2',
        '/shop/v1.0/a+b/7',
      ],
      ...['/shop/items/parts/1', '/shop/items/x:y/1'],
    ),
    fc.array(
      fc.tuple(
        fc.nat(),
        fc.constantFrom('encode', 'encode', 'upper-case', 'remove', 'insert', 'append'),
        fc.constantFrom(
          ...['/', '//', '/./', '/../', '/x/../', '..;/', '.', '..', '%2e', '%2E%2e/', '\\', '%5c', '%2f'],
          ...[
            ';',
            ';x=1',
            '%3b',
            '%00',
            '%',
            '%25',
            '%252f',
            '?',
            '?/../x',
            '%3f',
            '%23',
            '%20',
            '*',
            '$',
            '{id}',
          ],
        ),
      ),
      { minLength: 1, maxLength: 2 },
    ),
  )
  .map(([path, changes]) => changes.reduce((text, change) => spoil(text, ...change), path));

function spoil(path: string, place: number, kind: string, piece: string): string {
  // the first slash stays: without it there is no path to be read in one way or another
  const at = 1 + (place % (path.length - 1));
  const [before, character, after] = [path.slice(0, at), path.charAt(at), path.slice(at + 1)];
  const hex = character.charCodeAt(0).toString(16);
  if (kind === 'encode') return `${before}%${place % 2 === 0 ? hex : hex.toUpperCase()}${after}`;
  if (kind === 'upper-case') return before + character.toUpperCase() + after;
  if (kind === 'remove') return path.length > 2 ? before + after : path;
  return kind === 'insert' ? before + piece + character + after : path + piece;
}

/** An HTTP/2 request on a connection of its own: Envoy ends the connection of what is no HTTP/2. Status 0: so it was. */
async function http2Request(port: number, path: string, options: SendOptions = {}, tls?: ClientTls) {
  const connection = await connectHttp2(port, tls);
  try {
    return await connection.send(path, options);
  } catch (error) {
    if (connection.isOpen()) throw error;
    return { status: 0, headers: {}, body: '' };
  } finally {
    connection.close();
  }
}

describe('operations on a real Envoy', () => {
  let stack: Stack;
  let port: number;

  beforeAll(async () => {
    stack = await startStack();
    port = await freePort();
    await stack.publishAndRelease('tell', TELL);
    const asks = { access: 'policy', policy: 'tell' } as const;
    await stack.putService('shop', { ...asks, operations: SHOP });
    await stack.putService('parts', { ...asks, prefix: '/shop/items/parts', operations: PARTS });
    await stack.putService('signs', {
      ...asks,
      prefix: '/shop/items/x:y',
      operations: [get('sign', '/shop/items/x:y/{id}')],
    });
    await stack.putService('whole', asks);
    await stack.putService('hosted', { ...asks, hosts: ['hosted.example'], prefix: '/hosted' });
    await stack.putNode('edge-1', {
      services: ['shop', 'parts', 'signs', 'whole', 'hosted'],
      listener: { address: '127.0.0.1', port },
    });
    await stack.startNode('edge-1');
    await eventually('the policy answers', async () => (await rawRequest(port, '/whole')).status === 200);
  });
  afterAll(() => stack?.stop());

  type Send = (path: string, method: string) => Promise<{ readonly status: number }>;
  const protocols: readonly [string, Send][] = [
    ['HTTP/1.1', (path, method) => rawRequest(port, path, { method })],
    ['HTTP/2', (path, method) => http2Request(port, path, { method })],
  ];

  /** The operation that was asked for, and one path for the policy and the upstream. */
  const told = () => {
    const { 'x-operation': operation, 'x-path': seen } = stack.upstream.lastHeaders();
    expect(stack.upstream.lastPath()).toBe(seen);
    return { operation, path: seen };
  };

  describe.each(protocols)('over %s', (protocol, send) => {
    it.each([
      ['shop/root', '/shop'],
      ['shop/list', '/shop/items'],
      ['shop/read', '/shop/items/1'],
      ['shop/read', '/shop/items/specials'],
      ['shop/read', '/shop/items/special%20'],
      ['shop/read', '/shop/items/bob%40test.example'],
      ['shop/special', '/shop/items/special'],
      ['shop/signs', '/shop/items/a:b+c'],
      ['shop/line', '/shop/orders/1/lines/2'],
      ['shop/first-line', '/shop/orders/1/lines/first'],
      // of two that match, the one with the leftmost literal
      ['shop/my-line', '/shop/orders/mine/lines/first'],
      ['shop/price', '/shop/v1.0/a+b/7'],
      ['shop/list', '/shop/items?id=../x&y=%2f%00'],
      ['parts/part', '/shop/items/parts/1'],
      ['signs/sign', '/shop/items/x:y/1'],
      ['whole/*', '/whole'],
      ['whole/*', '/whole/a/b/c'],
      ['whole/*', '/whole/'],
    ])('%s is asked for %s: a literal comes before a name', async (operation, path) => {
      await expectForwarded(stack.upstream, () => send(path, 'GET'));
      expect(told()).toEqual({ operation, path });
    });

    it('they are told apart by method', async () => {
      await expectForwarded(stack.upstream, () => send('/shop/items', 'GET'));
      expect(told().operation).toBe('shop/list');
      await expectForwarded(stack.upstream, () => send('/shop/items', 'POST'));
      expect(told().operation).toBe('shop/create');
    });

    it.each([
      ['an encoded letter', '/shop/items/%73pecial', 'shop/special', '/shop/items/special'],
      ['an encoded dot', '/shop/v1%2e0/a+b/7', 'shop/price', '/shop/v1.0/a+b/7'],
      ['encoded signs', '/shop/items/a%3Ab%2bc', 'shop/signs', '/shop/items/a%3Ab%2bc'],
      ['an encoded sign before a name', '/shop/v1.0/a%2Bb/7', 'shop/price', '/shop/v1.0/a%2Bb/7'],
      ['an encoded sign in a prefix', '/shop/items/x%3ay/1', 'signs/sign', '/shop/items/x%3ay/1'],
      ['a double slash', '/shop//items///special', 'shop/special', '/shop/items/special'],
      ['a double slash at the start', '//shop/items', 'shop/list', '/shop/items'],
      ['a dot', '/shop/./items/./special', 'shop/special', '/shop/items/special'],
      ['dots', '/shop/items/x/../special', 'shop/special', '/shop/items/special'],
      ['encoded dots', '/whole/%2e%2E/shop/items/special', 'shop/special', '/shop/items/special'],
      ['dots above the root', '/../../shop/items', 'shop/list', '/shop/items'],
      ['dots with a path parameter', '/whole/..;/shop/items', 'shop/list', '/shop/items'],
      ['a backslash', '/shop\\items\\special', 'shop/special', '/shop/items/special'],
      ['dots between backslashes', '/whole\\..\\shop\\items', 'shop/list', '/shop/items'],
    ])(
      '%s has one reading: for routes, for the policy and for the upstream',
      async (_, path, operation, seen) => {
        await expectForwarded(stack.upstream, () => send(path, 'GET'));
        expect(told()).toEqual({ operation, path: seen });
      },
    );

    it.each([
      ['a path that no operation names', 'GET', '/shop/other', 404],
      ['a path below one', 'GET', '/shop/items/1/2', 404],
      ['a path above one', 'GET', '/shop/orders/1/lines', 404],
      ['no segment for a name', 'GET', '/shop/orders//lines/1', 404],
      ['a dot for a name', 'GET', '/shop/items/.', 404],
      ['an encoded dot for a name', 'GET', '/shop/items/%2e', 404],
      ['dots for a name', 'GET', '/shop/orders/../lines/1', 404],
      ['a part of a literal', 'GET', '/shop/item', 404],
      ['a literal and more', 'GET', '/shop/itemsx', 404],
      ['another character for the dot of a literal', 'GET', '/shop/v1x0/a+b/7', 404],
      ['a repetition for the plus of a literal', 'GET', '/shop/v1.0/aab/7', 404],
      ['the root of the site', 'GET', '/', 404],
      ['the prefix of a service without an operation for it', 'GET', '/shop/items/parts', 404],
      ['the encoded prefix of a service without an operation for it', 'GET', '/shop/items/x%3Ay', 404],
      ['a prefix that does not end at a segment', 'GET', '/wholesale', 404],
      ['a service of another host', 'GET', '/hosted/x', 404],
      ['another method', 'DELETE', '/shop/items', 404],
      ['OPTIONS where GET is named', 'OPTIONS', '/shop/items', 404],
      ['TRACE where GET is named', 'TRACE', '/shop/items', 404],
      ['a trailing slash', 'GET', '/shop/items/', 404],
      ['a trailing slash behind a name', 'GET', '/shop/items/1/', 404],
      ['a double slash at the end', 'GET', '/shop/items//', 404],
      ['another case', 'GET', '/shop/ITEMS', 404],
      ['another case of the prefix', 'GET', '/Shop/items', 404],
      ['an encoded slash', 'GET', '/shop%2fitems', 400],
      ['an encoded slash in a name', 'GET', '/shop/items/a%2Fb', 400],
      ['an encoded backslash', 'GET', '/shop/items/a%5cb', 400],
      ['a path parameter', 'GET', '/shop/items;x=1', 400],
      ['a path parameter in a name', 'GET', '/shop/items/1;x=1', 400],
      ['an encoded semicolon behind a literal', 'GET', '/shop/items%3bx=1', 400],
      ['an encoded semicolon in a name', 'GET', '/shop/items/1%3Bx=1', 400],
      ['an encoded line break in a name', 'GET', '/shop/items/1%0a', 400],
      ['an encoded NUL in a name', 'GET', '/shop/items/1%00', 400],
      ['an encoded NUL behind a literal', 'GET', '/shop/items%00', 400],
      ['a slash that is encoded twice', 'GET', '/shop/items%252f1', 404],
      ['an encoded question mark behind a literal', 'GET', '/shop/items%3fx', 404],
      ['a cut escape', 'GET', '/shop/items/1%2', 400],
      ['an escape that is no number', 'GET', '/shop/items/%zz', 400],
      ['dots that leave the service', 'GET', '/shop/items/../../other', 404],
      ['encoded dots that leave the service', 'GET', '/shop/%2e%2e/other', 404],
      ['dots that are encoded twice', 'GET', '/shop/%252e%252e/shop/items', 404],
      ['a fragment', 'GET', '/shop/items#x', 400],
    ])('%s is answered without the upstream', async (_, method, path, status) => {
      await expectRefused(stack.upstream, () => send(path, method), status);
      await expectForwarded(stack.upstream, () => send('/shop/items', 'GET'));
    });

    it.each([
      ['a space', 'GET', '/shop/items/a b'],
      ['a NUL', 'GET', '/shop/items/a\0b'],
      ['a control character', 'GET', '/shop/items/a\x01b'],
      ['a tab', 'GET', '/shop/items/a\tb'],
      ['no slash at the start', 'GET', 'shop/items'],
      ['an asterisk', 'GET', '*'],
      ['nothing', 'GET', ''],
      ['a method in lower case', 'get', '/shop/items'],
    ])(
      '%s in the request line is refused in one way or another, without the upstream',
      async (_, method, path) => {
        const before = stack.upstream.count();
        const { status } = await send(path, method);
        expect([0, 400, 404]).toContain(status);
        expect(stack.upstream.count()).toBe(before);
      },
    );

    it('whatever reaches the upstream is the operation that was asked for, however the upstream decodes it', async () => {
      const asked = new Map<string, number>();
      for (const path of fc.sample(nearMisses, { numRuns: 400, seed: protocol.length })) {
        const before = stack.upstream.count();
        const { status } = await send(path, 'GET');
        const reached = stack.upstream.count() - before;
        if (status === 200) {
          const { operation, path: seen } = told();
          expect({ path, reached, operation }).toEqual({ path, reached: 1, operation: operationOf(seen) });
          asked.set(String(operation), (asked.get(String(operation)) ?? 0) + 1);
        } else {
          expect({ path, reached, status }).toEqual({ path, reached: 0, status: status === 404 ? 404 : 400 });
        }
      }
      // enough of them are near enough to be let through
      expect([...asked.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThan(100);
      expect(asked.size).toBeGreaterThan(8);
    });
  });

  it('HEAD is not GET: it is answered without the upstream', async () => {
    await expectRefused(stack.upstream, () => http2Request(port, '/shop/items', { method: 'HEAD' }), 404);
  });

  it('bytes that are no ASCII: refused in HTTP/1.1, and in HTTP/2 encoded before anybody reads them', async () => {
    await expectRefused(stack.upstream, () => rawRequest(port, '/shop/items/\xe9'), 400);
    await expectRefused(stack.upstream, () => rawRequest(port, '/shop/\xe9'), 400);
    await expectForwarded(stack.upstream, () => http2Request(port, '/shop/items/\xe9'));
    expect(told()).toEqual({ operation: 'shop/read', path: '/shop/items/%E9' });
    await expectRefused(stack.upstream, () => http2Request(port, '/shop/\xe9'), 404);
  });

  it('a URL as request target counts with its own host, for routes, the policy and the upstream', async () => {
    await expectForwarded(stack.upstream, () => rawRequest(port, 'http://hosted.example/hosted/x'));
    expect(told()).toEqual({ operation: 'hosted/*', path: '/hosted/x' });
    expect(stack.upstream.lastHeaders()).toMatchObject({
      'x-host': 'hosted.example',
      host: 'hosted.example',
    });
    const headers = { host: 'hosted.example' };
    await expectForwarded(stack.upstream, () => rawRequest(port, '/hosted/x', { headers }));
    await expectRefused(
      stack.upstream,
      () => rawRequest(port, 'http://test.example/hosted/x', { headers }),
      404,
    );
    // a host that is named has its own services, and no others
    await expectRefused(stack.upstream, () => rawRequest(port, 'http://hosted.example/other/x'), 404);
  });
});

/** The operation that a path means to an upstream that decodes each segment; none: undefined. */
function operationOf(path: string | string[] | undefined): string | undefined {
  const [pure = ''] = String(path).split('?');
  const segments = pure.split('/').slice(1).map(decode);
  const [first, second, third] = segments;
  if (first === 'whole') return 'whole/*';
  const parts = first === 'shop' && second === 'items' && third === 'parts';
  const signs = first === 'shop' && second === 'items' && third === 'x:y';
  if (parts || signs)
    return segments.length === 4 && segments[3] ? (parts ? 'parts/part' : 'signs/sign') : undefined;
  const candidates = SHOP.filter(({ method }) => method === 'GET').flatMap(({ id, path: template }) => {
    const wanted = template.split('/').slice(1);
    const fits =
      wanted.length === segments.length &&
      wanted.every((want, at) => (want.startsWith('{') ? segments[at] !== '' : want === segments[at]));
    return fits ? [{ id, rank: wanted.map((want) => (want.startsWith('{') ? '1' : '0')).join('') }] : [];
  });
  const [best] = candidates.toSorted((a, b) => (a.rank < b.rank ? -1 : 1));
  return best && `shop/${best.id}`;
}

function decode(segment: string): string {
  return segment.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

describe('grants of single operations on a real Envoy', () => {
  let stack: Stack;
  let files: TlsFiles;
  let port: number;
  const operations = [
    get('list', '/items'),
    get('read', '/items/{id}'),
    get('special', '/items/special'),
    get('signs', '/items/a:b'),
    { id: 'create', method: 'POST', path: '/items' },
  ];
  const spiffe = (name: string) => `spiffe://mesh.example/client/${name}`;
  const clients = new Map<string, ClientTls>();

  beforeAll(async () => {
    files = await createTlsFiles();
    stack = await startStack();
    port = await freePort();
    await stack.putService('items', { prefix: '/items', operations });
    for (const [name, granted] of [
      ['reader', ['read']],
      ['special', ['special']],
      ['writer', ['list', 'create']],
      ['all', ['*']],
    ] as const) {
      await stack.putGrant('items', name, spiffe(name), [...granted]);
    }
    await stack.putNode('edge-1', {
      services: ['items'],
      listener: { address: '127.0.0.1', port, tls: files.listener },
    });
    for (const name of ['reader', 'special', 'writer', 'all', 'stranger']) {
      clients.set(name, await files.client({ uris: [spiffe(name)] }));
    }
    clients.set('nobody', await files.client());
    await stack.startNode('edge-1');
    await eventually('a grant opens', async () => (await send('all', '/items')).status === 200);
  });
  afterAll(async () => {
    await stack?.stop();
    await files?.remove();
  });

  const send = (client: string, path: string, method = 'GET') =>
    http2Request(port, path, { method }, clients.get(client));
  const expectAnswer = async (client: string, path: string, method: string, status: number) => {
    if (status === 200) await expectForwarded(stack.upstream, () => send(client, path, method));
    else await expectRefused(stack.upstream, () => send(client, path, method), status);
  };

  it.each([
    ['reader', 403, 200, 403, 403, 403],
    ['special', 403, 403, 200, 403, 403],
    ['writer', 200, 403, 403, 403, 200],
    ['all', 200, 200, 200, 200, 200],
    ['stranger', 403, 403, 403, 403, 403],
    ['nobody', 403, 403, 403, 403, 403],
  ])('%s may use what is granted, and nothing else', async (client, list, read, special, signs, create) => {
    await expectAnswer(client, '/items', 'GET', list);
    await expectAnswer(client, '/items/1', 'GET', read);
    await expectAnswer(client, '/items/special', 'GET', special);
    await expectAnswer(client, '/items/a:b', 'GET', signs);
    await expectAnswer(client, '/items', 'POST', create);
    await expectAnswer(client, '/items', 'DELETE', 404);
    await expectAnswer(client, '/items/1/2', 'GET', 404);
  });

  it.each([
    ['an encoded letter', '/items/%73pecial', 403],
    ['an encoded sign', '/items/a%3ab', 403],
    ['a double slash', '/items//special', 403],
    ['a dot', '/items/./special', 403],
    ['dots', '/items/1/../special', 403],
    ['encoded dots', '/items/1/%2e%2e/special', 403],
    ['a backslash', '/items\\special', 403],
    ['dots with a path parameter', '/items/1/..;/special', 403],
    ['a query', '/items/special?id=1', 403],
    ['a trailing slash', '/items/special/', 404],
    ['a path parameter', '/items/special;id=1', 400],
    ['an encoded slash', '/items%2fspecial', 400],
    ['an encoded slash behind a name', '/items/1%2f..%2fspecial', 400],
    ['an encoded backslash', '/items/1%5c..%5cspecial', 400],
    ['an encoded NUL', '/items/special%00', 400],
    ['a fragment', '/items/special#1', 400],
  ])('%s does not lead from a granted operation to another', async (_, path, status) => {
    await expectAnswer('reader', path, 'GET', status);
    await expectAnswer('reader', '/items/1', 'GET', 200);
  });

  it('another case is another item to the route and to the upstream', async () => {
    await expectAnswer('reader', '/items/SPECIAL', 'GET', 200);
    expect(stack.upstream.lastPath()).toBe('/items/SPECIAL');
    await expectAnswer('special', '/items/SPECIAL', 'GET', 403);
  });

  it('a grant that is changed to another operation closes the one and opens the other', async () => {
    await stack.putGrant('items', 'special', spiffe('special'), ['read']);
    await eventually('the other is open', async () => (await send('special', '/items/1')).status === 200);
    await expectAnswer('special', '/items/special', 'GET', 403);
    await stack.putGrant('items', 'special', spiffe('special'), ['special']);
    await eventually('it is open', async () => (await send('special', '/items/special')).status === 200);
    await expectAnswer('special', '/items/1', 'GET', 403);
  });
});
