/** What a gRPC port does with clients that want too much of one connection, and with those that are there no more. */
import { once } from 'node:events';
import { connect } from 'node:http2';
import { Client, credentials } from '@grpc/grpc-js';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { unaryService } from '../../src/grpc/byte-service.ts';
import { createGrpcServer } from '../../src/grpc/server.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { eventually } from '../support/eventually.ts';
import { connectRawHttp2, FRAME, type RawHttp2, REFUSED_STREAM } from '../support/raw-http2.ts';

const PATH = '/test.Slow/Say';
const LIMIT = 2;

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const close of closers.splice(0).reverse()) await close();
});

/** A service whose calls end when they are told to. */
async function startSlow() {
  const waiting = new Map<string, () => void>();
  const aborted: string[] = [];
  let most = 0;
  const slow = unaryService('test.Slow', 'Say', async (request, call) => {
    const name = Buffer.from(request).toString();
    call.signal().addEventListener('abort', () => aborted.push(name));
    await new Promise<void>((resolve) => {
      waiting.set(name, resolve);
      most = Math.max(most, [...waiting.keys()].filter((each) => each.startsWith('first')).length);
    });
    waiting.delete(name);
    return request;
  });
  const options = { address: '127.0.0.1', port: 0, maxMessageBytes: 2048, maxConcurrentStreams: LIMIT };
  const server = createGrpcServer(options, [slow], silentLogger);
  closers.push(() => server.close(100));
  return {
    port: await server.listen(),
    waiting,
    aborted,
    /** how many calls whose name begins with `first` were under way at once */
    most: () => most,
    end: (name: string) => waiting.get(name)?.(),
  };
}

function clientOf(port: number): (name: string) => Promise<string> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
  closers.push(() => client.close());
  const same = (bytes: Buffer): Buffer => bytes;
  return (name) =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(PATH, same, same, Buffer.from(name), (error, answer) => {
        if (error === null) resolve(String(answer));
        else reject(error);
      });
    });
}

async function rawClient(port: number): Promise<RawHttp2> {
  const raw = await connectRawHttp2(port);
  closers.push(() => void raw.socket.destroy());
  return raw;
}

/** Where `eventually` would wait for a clock that stands still. */
async function until(check: () => boolean): Promise<void> {
  while (!check()) await new Promise((resolve) => setImmediate(resolve));
}

describe('the limit of streams on one connection', () => {
  it('lets a client that keeps to it wait with the rest, and another connection goes on', async () => {
    const slow = await startSlow();
    const [first, second] = [clientOf(slow.port), clientOf(slow.port)];
    const names = ['first-1', 'first-2', 'first-3', 'first-4', 'first-5'];
    const answers = Promise.all(names.map((name) => first(name)));
    await eventually('the limit is reached', () => slow.waiting.size === LIMIT);

    const other = second('second');
    await eventually('it is under way', () => slow.waiting.has('second'));
    slow.end('second');
    expect(await other).toBe('second');
    expect(slow.waiting.size).toBe(LIMIT);

    const ending = setInterval(() => [...slow.waiting.keys()].forEach(slow.end), 5);
    closers.push(() => clearInterval(ending));
    expect(await answers).toEqual(names);
    expect(slow.most()).toBe(LIMIT);
  });

  it('refuses the rest to a client that does not, and its other calls go on', async () => {
    const slow = await startSlow();
    const raw = await rawClient(slow.port);
    for (const stream of [1, 3, 5, 7]) raw.call(stream, PATH, Buffer.from(`first-${stream}`));
    await eventually(
      'the rest is refused',
      () => raw.resetOf(5) !== undefined && raw.resetOf(7) !== undefined,
    );
    expect([raw.resetOf(5), raw.resetOf(7)]).toEqual([REFUSED_STREAM, REFUSED_STREAM]);
    expect([...slow.waiting.keys()]).toEqual(['first-1', 'first-3']);

    slow.end('first-1');
    await eventually('it is answered', () => raw.hasEnded(1));
    raw.call(9, PATH, Buffer.from('first-9'));
    await eventually('there is a place again', () => slow.waiting.has('first-9'));
    slow.end('first-3');
    slow.end('first-9');
    await eventually('all are answered', () => raw.hasEnded(3) && raw.hasEnded(9));
    expect([1, 3, 9].map((stream) => raw.resetOf(stream))).toEqual([undefined, undefined, undefined]);
    expect(slow.most()).toBe(LIMIT);
  });

  it('ends the connection of one that has acknowledged it and does not care, and no other', async () => {
    const slow = await startSlow();
    const other = clientOf(slow.port)('other');
    const raw = await rawClient(slow.port);
    raw.send({ type: FRAME.settings, flags: 1 });
    for (const stream of [1, 3, 5]) raw.call(stream, PATH, Buffer.from(`first-${stream}`));
    await once(raw.socket, 'close');
    expect(raw.frames.some(({ type }) => type === FRAME.goaway)).toBe(true);
    await eventually('the other is under way', () => slow.waiting.has('other'));
    expect(slow.waiting.has('first-5')).toBe(false);
    slow.end('other');
    expect(await other).toBe('other');
  });
});

describe('keepalive', () => {
  it('drops a client that reads no more, with its calls, and keeps one that is only silent', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const slow = await startSlow();
    const dead = await rawClient(slow.port);
    dead.call(1, PATH, Buffer.from('dead'));
    const silent = connect(`http://127.0.0.1:${slow.port}`);
    closers.push(() => silent.destroy());
    const headers = { ':method': 'POST', ':path': PATH, 'content-type': 'application/grpc', te: 'trailers' };
    silent.request(headers).end(Buffer.from([0, 0, 0, 0, 1, 0x61]));
    const pinged = once(silent, 'ping');
    await until(() => slow.waiting.size === 2);
    dead.socket.pause();

    vi.advanceTimersByTime(30_000);
    await pinged;
    // its answer has arrived when that to a ping of its own comes back
    await new Promise((resolve) => silent.ping(resolve));
    expect(slow.aborted).toEqual([]);
    vi.advanceTimersByTime(10_000);
    await until(() => slow.aborted.length > 0);
    expect(slow.aborted).toEqual(['dead']);
    expect(silent.destroyed).toBe(false);
  });
});
