/** The parameters of `http.send` as an HTTP request. */
import { X509Certificate } from 'node:crypto';
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { jsonText } from '../builtins/json-text.ts';
import { toInt64 } from '../builtins/number.ts';
import { RegoNumber, RegoObject, type Value } from '../builtins/value.ts';
import type { AllowList } from './allow-list.ts';
import { parseGoDuration } from './go-duration.ts';
import { SendError } from './send-error.ts';
import { readBoolean, readCount, readLooseBoolean, readString } from './send-operand.ts';

export interface SendRequest {
  readonly method: string;
  readonly url: URL;
  /** by their names in lower case */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Infinity: until the deadline of the evaluation */
  readonly timeoutMs: number;
  readonly followsRedirects: boolean;
  /** after a first attempt that failed */
  readonly retries: number;
  readonly decode: 'json' | 'yaml' | undefined;
  /** undefined: as usual */
  readonly tls: SendTls | undefined;
}

export interface SendTls {
  readonly secureContext: SecureContext | undefined;
  readonly servername: string | undefined;
  readonly rejectUnauthorized: boolean;
}

export interface RequestDefaults {
  readonly allowList: AllowList;
  readonly timeoutMs: number;
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const NS_PER_MS = 1e6;
/** Go writes these itself: they say where a message ends. */
const OF_THE_MESSAGE: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding', 'trailer']);

/** @throws SendError */
export function toSendRequest(operand: RegoObject, { allowList, timeoutMs }: RequestDefaults): SendRequest {
  const method = (readString(operand, 'method') || 'GET').toUpperCase();
  if (!TOKEN.test(method)) throw new SendError(`net/http: invalid method ${JSON.stringify(method)}`);
  const headers = readHeaders(operand.get('headers'));
  return {
    method,
    url: readUrl(readString(operand, 'url') ?? '', allowList),
    headers,
    body: readBody(operand),
    timeoutMs: readTimeout(operand.get('timeout'), timeoutMs),
    followsRedirects: readLooseBoolean(operand, 'enable_redirect'),
    retries: readCount(operand, 'max_retry_attempts'),
    decode: readDecode(operand),
    tls: readTls(operand, headers['host']),
  };
}

function readUrl(text: string, allowList: AllowList): URL {
  const url = URL.parse(text);
  if (url === null) throw new SendError(`parse ${JSON.stringify(text)}: invalid URL`);
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new SendError(`unsupported protocol scheme "${url.protocol.slice(0, -1)}"`, true);
  if (!allowList.allows(url)) throw new SendError(`disallowed host: ${url.host}`);
  return url;
}

function readHeaders(value: Value | undefined): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  if (!(value instanceof RegoObject)) throw new SendError('invalid type for headers key');
  const headers = new Map<string, string>();
  for (const [name, text] of value.sorted) {
    if (typeof text !== 'string' || typeof name !== 'string')
      throw new SendError('invalid type for headers value');
    const key = name.toLowerCase();
    try {
      validateHeaderName(key);
      validateHeaderValue(key, text);
    } catch {
      throw new SendError(`net/http: invalid header field ${JSON.stringify(key)}`, true);
    }
    if (!OF_THE_MESSAGE.has(key)) headers.set(key, text);
  }
  return Object.fromEntries(headers);
}

/** `raw_body` comes before `body`. */
function readBody(operand: RegoObject): Buffer {
  const raw = readString(operand, 'raw_body');
  const body = operand.get('body');
  if (raw !== undefined) return Buffer.from(raw);
  return Buffer.from(body === undefined ? '' : jsonText(body));
}

function readTimeout(value: Value | undefined, standardMs: number): number {
  if (value === undefined) return standardMs;
  let ms: number | undefined;
  if (typeof value === 'string') ms = parseGoDuration(value);
  else if (value instanceof RegoNumber) {
    const ns = toInt64(value.text);
    ms = ns === undefined ? undefined : Number(ns) / NS_PER_MS;
  } else throw new SendError("operand 1 'timeout' must be one of {string, number}");
  if (ms === undefined) throw new SendError('invalid timeout value');
  return ms > 0 ? ms : Number.POSITIVE_INFINITY;
}

function readDecode(operand: RegoObject): SendRequest['decode'] {
  const isYaml = readBoolean(operand, 'force_yaml_decode');
  if (readBoolean(operand, 'force_json_decode')) return 'json';
  return isYaml ? 'yaml' : undefined;
}

function readTls(operand: RegoObject, host: string | undefined): SendTls | undefined {
  const servername = readString(operand, 'tls_server_name') || host?.replace(/:\d+$/, '') || undefined;
  const skips = readLooseBoolean(operand, 'tls_insecure_skip_verify');
  const isSystem = readLooseBoolean(operand, 'tls_use_system_certs');
  const ca = readString(operand, 'tls_ca_cert')?.replaceAll('\\n', '\n');
  const cert = readString(operand, 'tls_client_cert');
  const key = readString(operand, 'tls_client_key');
  const roots = [...(isSystem ? getCACertificates('system') : []), ...(ca ? [ca] : [])];
  const hasClient = cert !== undefined && cert !== '' && key !== undefined && key !== '';
  const isCustom = roots.length > 0 || hasClient;
  if (!skips && servername === undefined && !isCustom) return undefined;
  try {
    // a text without a certificate would be no error otherwise
    if (ca) new X509Certificate(ca);
    const secureContext = isCustom
      ? createSecureContext({ ...(roots.length > 0 && { ca: roots }), ...(hasClient && { cert, key }) })
      : undefined;
    return { secureContext, servername, rejectUnauthorized: !skips };
  } catch {
    throw new SendError('the TLS certificates or the key cannot be read');
  }
}
