/**
 * `parsed_body` and `truncated_body` as opa-envoy-plugin makes them (its rules in its order).
 *
 * Bodies are parsed when they are JSON. Forms, multipart and gRPC are recognised, and `null` for now.
 */
import { Failure } from '../core/failure.ts';
import { rewriteJson } from './json-text.ts';

export interface ParsedBody {
  /** JSON text, well-formed */
  readonly json: string;
  readonly truncated: boolean;
}

/** What of a request decides how its body is read. */
export interface BodySource {
  /** the first header of that name, several values joined with `,`; undefined when absent */
  header(name: string): string | undefined;
  /** `body`, or `raw_body` where that is empty */
  readonly bytes: Uint8Array;
}

const NOTHING: ParsedBody = { json: 'null', truncated: false };
const TRUNCATED: ParsedBody = { json: 'null', truncated: true };

/** @throws Failure request_malformed  when `content-length` is no integer, or a JSON body is not JSON */
export function parseBody(source: BodySource): ParsedBody {
  if (source.header('x-envoy-auth-partial-body') === 'true') return TRUNCATED;
  const kind = kindOf(source.header('content-type'));
  if (kind === undefined || kind === 'grpc' || source.bytes.length === 0) return NOTHING;
  if (isCutOff(source.header('content-length'), source.bytes.length)) return TRUNCATED;
  if (kind !== 'json') return NOTHING;
  const { buffer, byteOffset, byteLength } = source.bytes;
  return {
    json: rewriteJson(Buffer.from(buffer, byteOffset, byteLength).toString('utf8')),
    truncated: false,
  };
}

/** A case-sensitive search in the whole value, first hit wins: so does the peer. */
function kindOf(contentType: string | undefined): 'json' | 'grpc' | 'form' | 'multipart' | undefined {
  if (contentType === undefined) return undefined;
  if (contentType.includes('application/json')) return 'json';
  if (contentType.includes('application/grpc')) return 'grpc';
  if (contentType.includes('application/x-www-form-urlencoded')) return 'form';
  return contentType.includes('multipart/form-data') ? 'multipart' : undefined;
}

/** `content-length` counts bytes. It is read as Go's `ParseInt` does: a sign is allowed, 64 bits are the limit. */
function isCutOff(contentLength: string | undefined, length: number): boolean {
  if (contentLength === undefined) return false;
  const declared = /^[+-]?[0-9]{1,40}$/.test(contentLength)
    ? BigInt(contentLength.replace('+', ''))
    : undefined;
  if (declared === undefined || BigInt.asIntN(64, declared) !== declared) {
    throw new Failure('request_malformed', 'content-length is not an integer');
  }
  return declared > length;
}
