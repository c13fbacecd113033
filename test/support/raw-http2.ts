/** HTTP/2 frame by frame, for clients that keep to no limit and answer no ping (RFC 9113; HPACK without tables). */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { PORT_NAME } from './tls-files.ts';

export const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7 } as const;
export const REFUSED_STREAM = 7;

export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export interface RawHttp2 {
  readonly socket: Socket;
  /** all that has come */
  readonly frames: readonly RawFrame[];
  send(frame: Partial<RawFrame>): void;
  /** One gRPC call with one message; client streams have odd numbers, in order. */
  call(stream: number, path: string, message: Buffer): void;
  /** the error code with which a stream was reset */
  resetOf(stream: number): number | undefined;
  /** whether the headers that end a stream have come */
  hasEnded(stream: number): boolean;
}

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const END_STREAM = 1;
const END_HEADERS = 4;
const HEAD_BYTES = 9;

/** @param ca  PEM: the port has TLS */
export async function connectRawHttp2(port: number, ca?: string): Promise<RawHttp2> {
  const socket =
    ca === undefined
      ? connect(port, '127.0.0.1')
      : connectTls({ port, host: '127.0.0.1', ca, servername: PORT_NAME, ALPNProtocols: ['h2'] });
  socket.on('error', () => {});
  await once(socket, ca === undefined ? 'connect' : 'secureConnect');
  const frames: RawFrame[] = [];
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    for (let frame = readFrame(rest); frame !== undefined; frame = readFrame(rest)) {
      frames.push(frame);
      rest = rest.subarray(HEAD_BYTES + frame.payload.length);
    }
  });
  const send = (frame: Partial<RawFrame>): void => void socket.write(toBytes(frame));
  socket.write(PREFACE);
  send({ type: FRAME.settings });
  const ofStream = (type: number, stream: number): readonly RawFrame[] =>
    frames.filter((frame) => frame.type === type && frame.stream === stream);
  return {
    socket,
    frames,
    send,
    call(stream, path, message) {
      send({ type: FRAME.headers, flags: END_HEADERS, stream, payload: requestHeaders(path) });
      const head = Buffer.alloc(5);
      head.writeUInt32BE(message.length, 1);
      send({ type: FRAME.data, flags: END_STREAM, stream, payload: Buffer.concat([head, message]) });
    },
    resetOf: (stream) => ofStream(FRAME.reset, stream)[0]?.payload.readUInt32BE(0),
    hasEnded: (stream) => ofStream(FRAME.headers, stream).some(({ flags }) => (flags & END_STREAM) !== 0),
  };
}

function readFrame(bytes: Buffer): RawFrame | undefined {
  if (bytes.length < HEAD_BYTES) return undefined;
  const length = bytes.readUIntBE(0, 3);
  if (bytes.length < HEAD_BYTES + length) return undefined;
  return {
    type: bytes.readUInt8(3),
    flags: bytes.readUInt8(4),
    stream: bytes.readUInt32BE(5),
    payload: bytes.subarray(HEAD_BYTES, HEAD_BYTES + length),
  };
}

function toBytes({ type = 0, flags = 0, stream = 0, payload = Buffer.alloc(0) }: Partial<RawFrame>): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** RFC 7541: two names and values of the static table, the rest literally and without indexing. */
function requestHeaders(path: string): Buffer {
  const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
  const [methodPost, schemeHttp, literal] = [0x83, 0x86, 0x00];
  const header = (name: string, value: string): Buffer =>
    Buffer.concat([Buffer.from([literal]), text(name), text(value)]);
  return Buffer.concat([
    Buffer.from([methodPost, schemeHttp]),
    header(':path', path),
    header(':authority', PORT_NAME),
    header('content-type', 'application/grpc'),
    header('te', 'trailers'),
  ]);
}
