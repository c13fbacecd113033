/**
 * `parsed_body` and `truncated_body` as opa-envoy-plugin makes them (its rules in its order).
 */
import { type GrpcReading, parseGrpcBody } from './grpc-body.ts';
import { rewriteJson } from './json-text.ts';
import { expectSpread } from './key-spread.ts';
import { parseMediaType } from './media-type.ts';
import { readFormParts } from './multipart.ts';
import { ParseFailure } from './parse-failure.ts';
import { parseQuery } from './url-query.ts';

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
  readonly bytes: Buffer;
  /** `raw_body`, which alone can hold a gRPC message */
  readonly rawBytes: Buffer;
  /** `parsed_path` */
  readonly path: readonly string[];
}

const NOTHING: ParsedBody = { json: 'null', truncated: false };
const TRUNCATED: ParsedBody = { json: 'null', truncated: true };

/**
 * @throws ParseFailure  when `content-length` is no integer, or the body is not what its type says;
 *         Failure request_malformed  on names chosen to collide
 */
export function parseBody(source: BodySource, grpc: GrpcReading = {}): ParsedBody {
  if (source.header('x-envoy-auth-partial-body') === 'true') return TRUNCATED;
  const contentType = source.header('content-type') ?? '';
  const kind = kindOf(contentType);
  if (kind === undefined) return NOTHING;
  if (kind === 'grpc') return grpcBody(source, grpc);
  const { bytes } = source;
  if (bytes.length === 0) return NOTHING;
  if (isCutOff(source.header('content-length'), bytes.length)) return TRUNCATED;
  switch (kind) {
    case 'json':
      return { json: rewriteJson(bytes.toString('utf8')), truncated: false };
    case 'form':
      return { json: formJson(bytes), truncated: false };
    case 'multipart': {
      const boundary = parseMediaType(contentType).parameters.get('boundary');
      return boundary === undefined ? NOTHING : { json: multipartJson(bytes, boundary), truncated: false };
    }
    default:
      return kind satisfies never;
  }
}

function grpcBody(source: BodySource, grpc: GrpcReading): ParsedBody {
  const { path, rawBytes: bytes } = source;
  return parseGrpcBody({ path, bytes, encoding: source.header('grpc-encoding') }, grpc) ?? NOTHING;
}

function formJson(bytes: Buffer): string {
  const fields = [...parseQuery(bytes.toString('latin1'), 'latin1')];
  return objectJson(fields.map(([name, values]) => [name, values.map(stringJson)]));
}

/** A part that says it is JSON is parsed; all else, files too, is a string. */
function multipartJson(bytes: Buffer, boundary: string): string {
  const fields = new Map<string, string[]>();
  for (const { name, contentType, content } of readFormParts(bytes.toString('latin1'), boundary)) {
    const text = content.toString('utf8');
    const json = contentType.includes('application/json') ? rewriteJson(text) : stringJson(text);
    const values = fields.get(name);
    if (values === undefined) fields.set(name, [json]);
    else values.push(json);
  }
  expectSpread(fields);
  return objectJson([...fields]);
}

function objectJson(members: readonly (readonly [name: string, values: readonly string[]])[]): string {
  return `{${members.map(([name, values]) => `${stringJson(name)}:[${values.join(',')}]`).join(',')}}`;
}

function stringJson(text: string): string {
  return JSON.stringify(text.toWellFormed());
}

/** A case-sensitive search in the whole value, first hit wins: so does the peer. */
function kindOf(contentType: string): 'json' | 'grpc' | 'form' | 'multipart' | undefined {
  if (contentType.includes('application/json')) return 'json';
  if (contentType.includes('application/grpc')) return 'grpc';
  if (contentType.includes('application/x-www-form-urlencoded')) return 'form';
  return contentType.includes('multipart/form-data') ? 'multipart' : undefined;
}

/** `content-length` counts bytes. It is read as Go's `ParseInt` does: a sign is allowed, 64 bits are the limit. */
function isCutOff(contentLength: string | undefined, length: number): boolean {
  if (contentLength === undefined) return false;
  const digits = /^[+-]?[0-9]+$/.test(contentLength);
  const declared = digits && contentLength.length <= 40 ? BigInt(contentLength.replace('+', '')) : undefined;
  if (declared === undefined || BigInt.asIntN(64, declared) !== declared) {
    const why = digits ? 'value out of range' : 'invalid syntax';
    throw new ParseFailure(
      'content-length is not an integer',
      `strconv.ParseInt: parsing ${JSON.stringify(contentLength)}: ${why}`,
    );
  }
  return declared > length;
}
