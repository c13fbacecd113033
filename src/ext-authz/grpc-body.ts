/**
 * The first message of a gRPC body as JSON: 5 bytes of framing (gRPC over HTTP/2, "Length-Prefixed-Message"), then
 * protobuf of the type that the descriptor set names for the method in the path.
 *
 * A compressed message is inflated where the options allow it (`grpc-encoding: gzip`), up to a size, and is not
 * parsed otherwise.
 */
import { gunzipSync } from 'node:zlib';
import { rewriteJson } from './json-text.ts';
import { ParseFailure } from './parse-failure.ts';

/** As in `parsed-body.ts`. */
interface Parsed {
  readonly json: string;
  readonly truncated: boolean;
}

/** The messages that methods of gRPC services take. */
export interface GrpcMessages {
  /**
   * @returns canonical protobuf JSON; undefined when the method is not known or takes a stream
   * @throws whatever its library throws  when the bytes are not of that type
   */
  toJson(service: string, method: string, message: Uint8Array): string | undefined;
}

export interface GrpcReading {
  /** undefined: there is no descriptor set */
  readonly messages?: GrpcMessages | undefined;
  /** of an inflated message; undefined: compressed messages are not parsed */
  readonly maxInflatedBytes?: number | undefined;
}

export interface GrpcSource {
  readonly path: readonly string[];
  readonly bytes: Buffer;
  /** of `grpc-encoding` */
  readonly encoding: string | undefined;
}

const FRAME = 5;

/** @returns undefined when it is not to be parsed. @throws ParseFailure */
export function parseGrpcBody(
  source: GrpcSource,
  { messages, maxInflatedBytes }: GrpcReading,
): Parsed | undefined {
  const { path, bytes, encoding } = source;
  if (messages === undefined || bytes.length === 0) return undefined;
  const [service, method, ...more] = path;
  if (service === undefined || method === undefined || more.length > 0)
    throw new ParseFailure('invalid parsed path');
  if (bytes.length < FRAME) throw new ParseFailure('less than 5 bytes');
  const flag = bytes.readUInt8(0);
  const inflates = flag === 1 && encoding === 'gzip' && maxInflatedBytes !== undefined;
  if (flag !== 0 && !inflates) return undefined;
  const end = FRAME + bytes.readUInt32BE(1);
  if (end > bytes.length) return { json: 'null', truncated: true };
  const frame = bytes.subarray(FRAME, end);
  const message = inflates ? inflate(frame, maxInflatedBytes) : frame;
  const json = decode(messages, service, method, message);
  return json === undefined ? undefined : { json: rewriteJson(json), truncated: false };
}

function inflate(frame: Uint8Array, maxOutputLength: number): Uint8Array {
  try {
    return gunzipSync(frame, { maxOutputLength });
  } catch {
    throw new ParseFailure('the gRPC message cannot be inflated, or is too large');
  }
}

function decode(
  messages: GrpcMessages,
  service: string,
  method: string,
  message: Uint8Array,
): string | undefined {
  try {
    return messages.toJson(service, method, message);
  } catch {
    throw new ParseFailure('the gRPC message is not of the type that its method takes');
  }
}
