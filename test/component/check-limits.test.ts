/** The Check port under callers that keep to no rule of gRPC or of good manners; after each, the next one is answered. */
import { connect, constants, type OutgoingHttpHeaders } from 'node:http2';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { aCheckRequest, decodeCheckResponse, encodeCheckRequest } from '../support/check-client.ts';
import { type CheckPort, startCheckPort } from '../support/check-port.ts';

const POLICY = `package envoy.authz

allow if startswith(input.attributes.request.http.path, "/public/")
`;
const LIMIT = 65_536;
const DEADLINE_EXCEEDED = 4;
const RESOURCE_EXHAUSTED = '8';
const ALLOWED = aCheckRequest({ path: '/public/a' });

let port: CheckPort;
beforeAll(async () => {
  port = await startCheckPort(POLICY, [`authz.maxMessageBytes=${LIMIT}`]);
});
afterAll(() => port.close());

interface Ended {
  /** of the trailers or of the headers; undefined: the stream was reset */
  readonly grpcStatus: string | undefined;
  readonly bytes: Buffer;
}

const CHECK: OutgoingHttpHeaders = {
  ':method': 'POST',
  ':path': '/envoy.service.auth.v3.Authorization/Check',
  'content-type': 'application/grpc',
  te: 'trailers',
};

/** On a connection of its own, since some of these calls end theirs. */
function call(body: Buffer, headers: OutgoingHttpHeaders = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const session = connect(`http://127.0.0.1:${port.port}`);
    session.on('error', () => {});
    const stream = session.request({ ...CHECK, ...headers });
    let grpcStatus: string | undefined;
    const chunks: Buffer[] = [];
    const see = (seen: Readonly<Record<string, unknown>>): void => {
      if (typeof seen['grpc-status'] === 'string') grpcStatus = seen['grpc-status'];
    };
    stream.on('response', see);
    stream.on('trailers', see);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', () => {});
    stream.on('close', () => {
      session.destroy();
      resolve({ grpcStatus, bytes: Buffer.concat(chunks) });
    });
    stream.setTimeout(10_000, () => stream.close(constants.NGHTTP2_CANCEL));
    stream.end(body);
  });
}

function frame(message: Buffer, compressed = 0, length = message.length): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed, 0);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

async function isStillAnswered(): Promise<void> {
  expect((await port.client.check(ALLOWED)).status).toEqual({});
  expect((await port.client.check(aCheckRequest({ path: '/admin' }))).status).toEqual({ code: 7 });
}

/** A request that is allowed, of this many bytes. */
function allowedOf(size: number): Buffer {
  const bytes = encodeCheckRequest(aCheckRequest({ path: '/public/a', body: 'x'.repeat(size - 200) }));
  const rest = size - bytes.length;
  return encodeCheckRequest(aCheckRequest({ path: '/public/a', body: 'x'.repeat(size - 200 + rest) }));
}

describe('a call to the Check port', () => {
  it('is answered when it keeps to the rules', async () => {
    expect((await call(frame(encodeCheckRequest(ALLOWED)))).grpcStatus).toBe('0');
    expect((await call(frame(encodeCheckRequest(ALLOWED)), manyHeaders(20))).grpcStatus).toBe('0');
  });

  it('with a message of the greatest length is answered, and one byte more is refused', async () => {
    expect(allowedOf(LIMIT)).toHaveLength(LIMIT);
    expect((await port.client.checkBytes(allowedOf(LIMIT))).status).toEqual({});
    await expect(port.client.checkBytes(allowedOf(LIMIT + 1))).rejects.toMatchObject({ code: 8 });
    await isStillAnswered();
  });

  it('with a small message that unpacks to a large one is refused', async () => {
    const headers = { 'grpc-encoding': 'gzip' };
    const good = await call(frame(gzipSync(encodeCheckRequest(ALLOWED)), 1), headers);
    expect(good.grpcStatus).toBe('0');
    const small = gzipSync(Buffer.alloc(8 * 1024 * 1024));
    expect(small.length).toBeLessThan(LIMIT);
    expect((await call(frame(small, 1), headers)).grpcStatus).toBe(RESOURCE_EXHAUSTED);
    await isStillAnswered();
  });

  it.each<[string, () => Promise<Ended>]>([
    ['with 5,000 headers', () => call(frame(encodeCheckRequest(ALLOWED)), manyHeaders(5000))],
    [
      'with a header of 1 MiB',
      () => call(frame(encodeCheckRequest(ALLOWED)), { 'x-large': 'x'.repeat(1_048_576) }),
    ],
    ['without a message', () => call(Buffer.alloc(0))],
    ['with half a message', () => call(frame(encodeCheckRequest(ALLOWED).subarray(0, 20), 0, 40))],
    ['with a length of 4 GiB', () => call(frame(encodeCheckRequest(ALLOWED), 0, 0xffff_ffff))],
    [
      'that says gzip and sends something else',
      () => call(frame(encodeCheckRequest(ALLOWED), 1), { 'grpc-encoding': 'gzip' }),
    ],
    ['in an unknown encoding', () => call(frame(encodeCheckRequest(ALLOWED), 1), { 'grpc-encoding': 'x' })],
    [
      'with a deadline that is none',
      () => call(frame(encodeCheckRequest(ALLOWED)), { 'grpc-timeout': 'soon' }),
    ],
    [
      'of another content type',
      () => call(frame(encodeCheckRequest(ALLOWED)), { 'content-type': 'text/plain' }),
    ],
    [
      'of another method',
      () =>
        call(frame(encodeCheckRequest(ALLOWED)), { ':path': '/envoy.service.auth.v2.Authorization/Check' }),
    ],
  ])('%s is not allowed, and does no harm', async (_form, ask) => {
    const { grpcStatus } = await ask();
    expect(grpcStatus).not.toBe('0');
    await isStillAnswered();
  });

  it('with a request of more than 1,000 headers is refused in an answer, and one of 1,000 is not', async () => {
    const withHeaders = (count: number) =>
      port.client.check(aCheckRequest({ path: '/public/a', headers: manyHeaders(count) }));
    expect((await withHeaders(1000)).status).toEqual({});
    expect(await withHeaders(1001)).toMatchObject({
      status: { code: 3 },
      denied_response: { status: { code: 'BadRequest' } },
    });
    await isStillAnswered();
  });

  it('whose deadline passes before it is answered is never allowed', async () => {
    for (const timeout of ['0n', '1n', '1u']) {
      const { grpcStatus, bytes } = await call(frame(encodeCheckRequest(ALLOWED)), {
        'grpc-timeout': timeout,
      });
      const code = grpcStatus === '0' ? decodeCheckResponse(bytes.subarray(5)).status?.code : grpcStatus;
      expect({ timeout, code: Number(code) }).toEqual({ timeout, code: DEADLINE_EXCEEDED });
    }
    await isStillAnswered();
  });

  it('that is taken back 1,000 times leaves nothing behind', async () => {
    const session = connect(`http://127.0.0.1:${port.port}`);
    session.on('error', () => {});
    const taken = Array.from({ length: 1000 }, () => {
      const stream = session.request(CHECK);
      stream.on('error', () => {});
      const closed = new Promise<void>((resolve) => stream.on('close', () => resolve()));
      stream.write(frame(encodeCheckRequest(ALLOWED)));
      stream.close(constants.NGHTTP2_CANCEL);
      return closed;
    });
    await Promise.all(taken);
    session.destroy();
    await isStillAnswered();
  });
});

function manyHeaders(count: number): OutgoingHttpHeaders {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`x-${index}`, 'y']));
}
