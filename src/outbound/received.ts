/** A response as it came, and what `http.send` says for it. */
import { isBuiltinError, refuse } from '../builtins/implementation.ts';
import { leadingJson } from '../builtins/json-read.ts';
import { writeText } from '../builtins/write-text.ts';

interface Head {
  /** for example `200 OK` */
  readonly status: string;
  readonly statusCode: number;
  /** by their names in lower case */
  readonly headers: ReadonlyMap<string, readonly string[]>;
}

export interface Received extends Head {
  readonly body: Buffer;
}

/** A response that was read. */
export interface Reply extends Head {
  readonly text: string;
  /** the body as Rego text; undefined: it is none of the kind that it should be, which is `null` */
  readonly decoded: string | undefined;
}

/** @returns Rego text; undefined: it is no YAML */
export type DecodeYaml = (text: string, signal: AbortSignal) => Promise<string | undefined>;

type Decoding = 'json' | 'yaml' | undefined;

/** @throws Failure policy_failed  a body that is no text: no value could hold it here */
export async function readReply(
  received: Received,
  forced: Decoding,
  decodeYaml: (text: string) => Promise<string | undefined>,
): Promise<Reply> {
  const { status, statusCode, headers } = received;
  const text = textOf(received);
  const decoding = decodingOf(received, forced);
  let decoded: string | undefined;
  if (decoding === 'json') decoded = decodeJson(text);
  else if (decoding === 'yaml') decoded = await decodeYaml(text);
  return { status, statusCode, headers, text, decoded };
}

/** How the body is read; undefined: as text only. */
function decodingOf({ headers }: Received, forced: Decoding): Decoding {
  if (forced === 'json') return forced;
  const type = headers.get('content-type')?.[0] ?? '';
  if (isJsonType(type)) return 'json';
  return forced ?? (/application\/(?:x-)?yaml/.test(type) ? 'yaml' : undefined);
}

const TOKEN = String.raw`[!#$%&'*+.^_\x60|~0-9A-Za-z-]+`;
/** What Go's `mime.ParseMediaType` can read. */
const MEDIA_TYPE = new RegExp(
  String.raw`^\s*(${TOKEN})/(${TOKEN})\s*(?:;\s*${TOKEN}=(?:${TOKEN}|"(?:[^"\\]|\\.)*")\s*)*;?\s*$`,
);

function isJsonType(text: string): boolean {
  const [, type = '', subtype = ''] = MEDIA_TYPE.exec(text.toLowerCase()) ?? [];
  return type === 'application' && (subtype === 'json' || subtype.endsWith('+json'));
}

/** @returns Rego text */
export function toAnswer({ status, statusCode, headers, text, decoded = 'null' }: Reply): string {
  const lists = [...headers]
    .map(([name, values]) => `${writeText(name)}: ${writeText(values)}`)
    .toSorted()
    .join(', ');
  return (
    `{"body": ${decoded}, "headers": {${lists}}, "raw_body": ${writeText(text)}, ` +
    `"status": ${writeText(status)}, "status_code": ${statusCode}}`
  );
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf({ body }: Received): string {
  try {
    return UTF8.decode(body);
  } catch {
    return refuse('http.send got a body that is no text');
  }
}

/** OPA keeps what it has read when something follows. @returns Rego text; undefined: it is no JSON */
function decodeJson(text: string): string | undefined {
  try {
    return leadingJson(text).text;
  } catch (thrown) {
    if (isBuiltinError(thrown)) return undefined;
    throw thrown;
  }
}
