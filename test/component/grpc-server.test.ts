import { once } from 'node:events';
import { connect } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Failure } from '../../src/core/failure.ts';
import { failStream, type GrpcService, streamService, unaryService } from '../../src/grpc/byte-service.ts';
import { createGrpcServer, type GrpcServer } from '../../src/grpc/server.ts';
import { openTlsFiles } from '../../src/identity/tls-files.ts';
import { systemRandom } from '../../src/journal/random.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { askHealth } from '../support/health-client.ts';
import { createPortFiles, PORT_NAME, type PortFiles } from '../support/tls-files.ts';

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function serverOf(services: readonly GrpcService[], port = 0): GrpcServer {
  const options = { address: '127.0.0.1', port, maxMessageBytes: 2048, maxConcurrentStreams: 100 };
  const server = createGrpcServer(options, services, silentLogger);
  closers.push(() => server.close(1000));
  return server;
}
function clientOf(port: number, credential = credentials.createInsecure()): Client {
  const client = new Client(`127.0.0.1:${port}`, credential, {
    'grpc.ssl_target_name_override': PORT_NAME,
    'grpc.use_local_subchannel_pool': 1,
  });
  closers.push(() => client.close());
  return client;
}
const same = (bytes: Buffer): Buffer => bytes;
function call(
  client: Client,
  path: string,
  request: Buffer,
  deadlineMs = 10_000,
): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      same,
      same,
      request,
      new Metadata(),
      { deadline: Date.now() + deadlineMs },
      (error, answer) => (error === null ? resolve(answer) : reject(error)),
    );
  });
}

const echo = unaryService('test.Echo', 'Say', async (request) => request);

describe('a gRPC server', () => {
  it('ends a connection at its age, and the call that is under way on it is answered', async () => {
    let release = (): void => {};
    const slow = unaryService('test.Slow', 'Say', async (request) => {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      return request;
    });
    const limits = { maxMessageBytes: 2048, maxConcurrentStreams: 100, maxConnectionAgeSeconds: 1 };
    const server = createGrpcServer({ address: '127.0.0.1', port: 0, ...limits }, [slow], silentLogger);
    closers.push(() => server.close(1000));
    const session = connect(`http://127.0.0.1:${await server.listen()}`);
    closers.push(() => session.destroy());
    const headers = { ':method': 'POST', ':path': '/test.Slow/Say', 'content-type': 'application/grpc' };
    const stream = session.request({ ...headers, te: 'trailers' });
    stream.end(Buffer.from([0, 0, 0, 0, 1, 7]));
    const answered = once(
      stream.on('data', () => {}),
      'trailers',
    );
    await once(session, 'goaway');
    release();
    const [trailers] = (await answered) as [Record<string, string>];
    expect(trailers['grpc-status']).toBe('0');
    await once(session, 'close');
  });

  it('gives bytes, peer and deadline to the handler and sends its bytes back', async () => {
    const seen: { peer: string; deadlineMs: number }[] = [];
    const server = serverOf([
      unaryService('test.Echo', 'Say', async (request, { peer, deadlineMs }) => {
        seen.push({ peer, deadlineMs });
        return request;
      }),
    ]);
    const client = clientOf(await server.listen());
    const before = Date.now();
    expect(await call(client, '/test.Echo/Say', Buffer.from([1, 2, 0xff]), 5000)).toEqual(
      Buffer.from([1, 2, 0xff]),
    );
    expect(seen[0]?.peer).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(seen[0]?.deadlineMs).toBeGreaterThan(before);
    expect(seen[0]?.deadlineMs).toBeLessThanOrEqual(Date.now() + 5000);
  });

  it('turns what a handler throws into the status of its Failure', async () => {
    const failing = unaryService('test.Fail', 'Now', () =>
      Promise.reject(new Failure('not_found', 'no such thing')),
    );
    const client = clientOf(await serverOf([failing]).listen());
    await expect(call(client, '/test.Fail/Now', Buffer.alloc(0))).rejects.toMatchObject({
      code: 5,
      details: 'no such thing',
    });
  });

  it('carries both directions of a stream, and ends it with a status', async () => {
    const service = streamService('test.Chat', {
      Talk: (stream) => {
        stream.on('data', (bytes: Uint8Array) => {
          if (bytes.length === 0) failStream(stream, new Failure('permission_denied', 'not you'));
          else stream.write(Buffer.from(bytes).reverse());
        });
      },
    });
    const client = clientOf(await serverOf([service]).listen());
    const stream = client.makeBidiStreamRequest('/test.Chat/Talk', same, same);
    const ended = new Promise<{ code: number; details: string }>((resolve) =>
      stream.on('error', (error) => resolve(error as never)),
    );
    const first = new Promise<Buffer>((resolve) => stream.once('data', resolve));
    stream.write(Buffer.from('abc'));
    expect((await first).toString()).toBe('cba');
    stream.write(Buffer.alloc(0));
    expect(await ended).toMatchObject({ code: 7, details: 'not you' });
  });

  it('refuses a message beyond its limit', async () => {
    const client = clientOf(await serverOf([echo]).listen());
    await expect(call(client, '/test.Echo/Say', Buffer.alloc(3000))).rejects.toMatchObject({ code: 8 });
  });

  it('names address and port when the port is taken', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    closers.push(() => new Promise<void>((resolve) => other.close(() => resolve())));
    const { port } = other.address() as AddressInfo;
    await expect(serverOf([echo], port).listen()).rejects.toMatchObject({
      name: 'Failure',
      detail: `cannot listen on 127.0.0.1:${port}: the port is taken`,
    });
  });

  it('answers for its health, as a whole and per service, NOT_SERVING until it serves', async () => {
    const server = serverOf([echo]);
    const port = await server.listen();
    const ask = (service: string): Promise<string> => askHealth(port, service);
    expect(await ask('')).toBe('NOT_SERVING');
    server.setServing(true);
    expect(await ask('')).toBe('SERVING');
    expect(await ask('test.Echo')).toBe('SERVING');
    await expect(ask('test.Unknown')).rejects.toMatchObject({ code: 5 });
    server.setServing(false);
    expect(await ask('test.Echo')).toBe('NOT_SERVING');
  });
});

describe.each(['without TLS', 'with TLS'])('the end of a gRPC port %s', (how) => {
  let files: PortFiles;
  beforeAll(async () => {
    files = await createPortFiles();
  });
  afterAll(() => files.remove());

  const start = async (service: GrpcService) => {
    const { certificateFile, privateKeyFile } = files.files;
    const tls =
      how === 'with TLS'
        ? openTlsFiles(
            { certificateFile, privateKeyFile },
            { option: 'test.tls', logger: silentLogger, random: systemRandom },
          )
        : undefined;
    const options = { address: '127.0.0.1', port: 0, maxMessageBytes: 2048, maxConcurrentStreams: 100 };
    const server = createGrpcServer(options, [service], silentLogger, tls);
    closers.push(() => server.close(1000));
    const port = await server.listen();
    const credential =
      tls === undefined
        ? credentials.createInsecure()
        : credentials.createSsl(Buffer.from(files.authority.certificate));
    return { server, client: () => clientOf(port, credential) };
  };

  it('lets a call in progress end, takes no new ones, and has come only then', async () => {
    let answer: (() => void) | undefined;
    const slow = unaryService(
      'test.Slow',
      'Say',
      (request) => new Promise((resolve) => (answer = () => resolve(request))),
    );
    const { server, client } = await start(slow);
    const running = call(client(), '/test.Slow/Say', Buffer.from('a'));
    await expect.poll(() => answer).toBeDefined();
    let isClosed = false;
    const closed = server.close(10_000).then(() => {
      isClosed = true;
    });
    await expect(call(client(), '/test.Slow/Say', Buffer.from('b'))).rejects.toMatchObject({ code: 14 });
    expect(isClosed).toBe(false);
    answer?.();
    expect((await running)?.toString()).toBe('a');
    await closed;
  });

  it('cuts off what does not end within the grace, and tells the handler', async () => {
    let signal: AbortSignal | undefined;
    const hanging = unaryService('test.Hang', 'Say', (_request, started) => {
      signal = started.signal();
      return new Promise(() => {});
    });
    const { server, client } = await start(hanging);
    const running = call(client(), '/test.Hang/Say', Buffer.from('a'), 60_000);
    const ended = running.then(
      () => 'answered',
      () => 'cut',
    );
    await expect.poll(() => signal).toBeDefined();
    await server.close(50);
    expect(await ended).toBe('cut');
    await expect.poll(() => signal?.aborted).toBe(true);
  });
});
