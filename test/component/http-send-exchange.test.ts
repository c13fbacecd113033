/** What goes over the wire for `http.send`, with servers that misbehave. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { createAllowList } from '../../src/outbound/allow-list.ts';
import { createExchange, type Exchange } from '../../src/outbound/exchange.ts';
import type { SendRequest } from '../../src/outbound/send-request.ts';
import { type AnswerRequest, type PolicyHost, startPolicyHost } from '../support/policy-host.ts';

const MAX_BYTES = 10_000;
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function aHost(answer: AnswerRequest): Promise<PolicyHost> {
  const host = await startPolicyHost(answer);
  closers.push(() => host.close());
  return host;
}

/** @param answers  what is written to each connection, which then ends */
async function aRawHost(...answers: readonly string[]): Promise<{ host: string; connections(): number }> {
  let connections = 0;
  const server: Server = createServer((socket) => {
    const answer = answers[Math.min(connections, answers.length - 1)] ?? '';
    connections += 1;
    socket.on('error', () => {});
    socket.once('data', () => socket.end(answer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => server.close());
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, connections: () => connections };
}

function anExchange(allowed: readonly string[]): Exchange {
  const exchange = createExchange({
    allowList: createAllowList(allowed),
    maxResponseBytes: MAX_BYTES,
    maxRedirects: 2,
  });
  closers.push(() => exchange.close());
  return exchange;
}

function aRequest(host: string, given: Partial<SendRequest> = {}): SendRequest {
  return {
    method: 'GET',
    url: new URL(`http://${host}/`),
    headers: {},
    body: Buffer.alloc(0),
    timeoutMs: 5_000,
    followsRedirects: false,
    retries: 0,
    decode: undefined,
    tls: undefined,
    ...given,
  };
}

const never = (): AbortSignal => new AbortController().signal;

describe('a request of a policy', () => {
  it('uses a connection again', async () => {
    const ports = new Set<number | undefined>();
    const host = await aHost((_, response) => {
      ports.add(response.socket?.remotePort);
      response.end('x');
    });
    const exchange = anExchange([host.host]);
    for (let count = 0; count < 3; count += 1) await exchange.send(aRequest(host.host), never());
    expect(ports.size).toBe(1);
  });

  it('is sent once more, on another connection, when the other end had given up the one that was used again', async () => {
    let connections = 0;
    const server = createServer((socket) => {
      connections += 1;
      let requests = 0;
      socket.on('error', () => {});
      socket.on('data', () => {
        requests += 1;
        if (requests === 1) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx');
        else socket.resetAndDestroy();
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closers.push(() => server.close());
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const exchange = anExchange([host]);
    for (let count = 0; count < 3; count += 1)
      expect((await exchange.send(aRequest(host), never())).statusCode).toBe(200);
    expect(connections).toBeGreaterThan(1);
    const post = aRequest(host, { method: 'POST', body: Buffer.from('once') });
    const outcomes = await Promise.allSettled([exchange.send(post, never())]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected']);
  });

  it('shows its credentials to the host that it names, and to no other one to which it is led', async () => {
    const second = await aHost((_, response) => response.end('second'));
    const first = await aHost(({ url }, response) =>
      response.writeHead(302, { location: url === '/' ? '/again' : `http://${second.host}/` }).end(),
    );
    const headers = { authorization: 'secret', cookie: 'secret', 'x-own': 'kept' };
    const request = aRequest(first.host, { followsRedirects: true, headers });
    const { body } = await anExchange([first.host, second.host]).send(request, never());
    expect(body.toString()).toBe('second');
    expect(first.requests.map((each) => each.headers.authorization)).toEqual(['secret', 'secret']);
    const [seen] = second.requests;
    expect(seen?.headers).toMatchObject({ 'x-own': 'kept', host: second.host });
    expect(JSON.stringify(seen)).not.toContain('secret');
  });

  it.each(['http://10.0.0.1/', 'file:///etc/passwd', '//evil.test/', 'https://127.0.0.1/'])(
    'is not led to %s, which is not allowed',
    async (location) => {
      const host = await aHost((_, response) => response.writeHead(302, { location }).end());
      const request = aRequest(host.host, { followsRedirects: true });
      await expect(anExchange([host.host]).send(request, never())).rejects.toThrow(/disallowed host/);
    },
  );
});

describe('a response', () => {
  it('that is larger than allowed is a failure, inflated as well as not', async () => {
    const small = gzipSync(Buffer.alloc(MAX_BYTES + 1));
    expect(small.length).toBeLessThan(MAX_BYTES);
    const host = await aHost(({ url }, response) =>
      url === '/zipped'
        ? response.writeHead(200, { 'content-encoding': 'gzip' }).end(small)
        : response.end(Buffer.alloc(url === '/fits' ? MAX_BYTES : MAX_BYTES + 1)),
    );
    const exchange = anExchange([host.host]);
    const ask = (path: string) =>
      exchange.send({ ...aRequest(host.host), url: new URL(`http://${host.host}${path}`) }, never());
    expect((await ask('/fits')).body).toHaveLength(MAX_BYTES);
    await expect(ask('/plain')).rejects.toMatchObject({ code: 'policy_failed' });
    await expect(ask('/zipped')).rejects.toMatchObject({ code: 'policy_failed' });
    expect((await ask('/fits')).body).toHaveLength(MAX_BYTES);
  });

  it.each([
    ['is cut off in its body', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'],
    ['is cut off in its head', 'HTTP/1.1 200 OK\r\nContent-Le'],
    ['is none', 'no HTTP\r\n\r\n'],
    [
      'wants another protocol',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n',
    ],
    ['is no gzip', 'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nhalf'],
    ['has too large a head', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`],
    ['is empty', ''],
  ])('that %s is an error of the network', async (_title, answer) => {
    const { host } = await aRawHost(answer);
    await expect(anExchange([host]).send(aRequest(host), never())).rejects.toMatchObject({
      code: 'eval_http_send_network_error',
    });
  });

  it('of which the body never ends, ends with the signal', async () => {
    const host = await aHost((_, response) => void response.writeHead(200).write('x'));
    const signal = AbortSignal.timeout(100);
    await expect(anExchange([host.host]).send(aRequest(host.host), signal)).rejects.toThrow();
    expect(signal.aborted).toBe(true);
  });
});
