/** What `http.send` is asked, before a request is made of it: which parameters there are, and what is cached under which key. */
import { toInt64 } from '../builtins/number.ts';
import { isArray, isEqual, RegoNumber, RegoObject, type Value } from '../builtins/value.ts';
import { writeText } from '../builtins/write-text.ts';
import { SendError } from './send-error.ts';

/**
 * Those of OPA without those that read files and variables of this process: they are not for whoever may publish a
 * policy to read.
 */
const PARAMETERS: ReadonlySet<string> = new Set(
  (
    'method url body enable_redirect force_json_decode force_yaml_decode headers raw_body tls_use_system_certs ' +
    'tls_ca_cert tls_client_cert tls_client_key tls_insecure_skip_verify tls_server_name timeout cache force_cache ' +
    'force_cache_duration_seconds raise_error caching_mode max_retry_attempts cache_ignored_headers'
  ).split(' '),
);
const REQUIRED = ['method', 'url'];

export interface SendOperand {
  /** without the headers that do not count for a cache */
  readonly request: RegoObject;
  readonly key: string;
  readonly caching: Caching;
}

export interface Caching {
  /** the response may be that to another evaluation */
  readonly isShared: boolean;
  /** above 0: whatever the response says */
  readonly forcedSeconds: number;
  /** a mode that OPA does not know keeps a response from being stored, and is no error */
  readonly mayStore: boolean;
}

/** @throws SendError */
export function readOperand(operand: RegoObject): SendOperand {
  const names = operand.entries.map(([name]) => name);
  const unknown = names.filter((name) => typeof name !== 'string' || !PARAMETERS.has(name));
  if (unknown.length > 0) throw new SendError(`operand 1 invalid request parameters(s): ${listed(unknown)}`);
  const missing = REQUIRED.filter((name) => !names.includes(name));
  if (missing.length > 0)
    throw new SendError(`operand 1 missing required request parameters(s): ${listed(missing)}`);
  const key = writeText(toKey(operand));
  return { request: operand, key, caching: readCaching(operand) };
}

function listed(names: readonly Value[]): string {
  return `{${names.map(writeText).toSorted().join(', ')}}`;
}

/** Two requests that differ in ignored headers only are one. */
function toKey(operand: RegoObject): RegoObject {
  const without = operand.entries.filter(([name]) => name !== 'cache_ignored_headers');
  const ignored = operand.get('cache_ignored_headers');
  const headers = operand.get('headers');
  if (ignored === undefined || headers === undefined)
    return new RegoObject([...without, ['cache_ignored_headers', null]]);
  if (ignored === null || !isArray(ignored) || !ignored.every((each) => typeof each === 'string'))
    throw new SendError('cache_ignored_headers must be an array of strings');
  if (!(headers instanceof RegoObject)) throw new SendError('invalid type for headers key');
  const counted = headers.entries.filter(([name]) => !ignored.some((each) => isEqual(each, name)));
  return new RegoObject([
    ...without.filter(([name]) => name !== 'headers'),
    ['headers', new RegoObject(counted)],
    ['cache_ignored_headers', null],
  ]);
}

function readCaching(operand: RegoObject): Caching {
  const mode = operand.get('caching_mode');
  const mayStore = mode === undefined || mode === 'serialized' || mode === 'deserialized';
  const isCached = readBoolean(operand, 'cache');
  if (!readBoolean(operand, 'force_cache')) return { isShared: isCached, forcedSeconds: 0, mayStore };
  return { isShared: true, forcedSeconds: readForcedSeconds(operand), mayStore };
}

const MOST_SECONDS = 2 ** 31;

function readForcedSeconds(operand: RegoObject): number {
  const given = operand.get('force_cache_duration_seconds');
  if (given === undefined)
    throw new SendError("'force_cache' set but 'force_cache_duration_seconds' parameter is missing");
  const text = given instanceof RegoNumber ? given.text : '';
  const seconds = /^[-+]?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(seconds >= -MOST_SECONDS && seconds < MOST_SECONDS))
    throw new SendError('invalid value for force_cache_duration_seconds field');
  return seconds;
}

/** @returns false  when it is not there */
export function readBoolean(operand: RegoObject, name: string): boolean {
  const value = operand.get(name) ?? false;
  if (typeof value !== 'boolean') throw new SendError(`invalid value for "${name}" field`);
  return value;
}

/** As Go's `ParseBool` reads the text of a value: a number may be meant. */
export function readLooseBoolean(operand: RegoObject, name: string): boolean {
  const value = operand.get(name) ?? false;
  if (typeof value === 'boolean') return value;
  if (value instanceof RegoNumber && (value.text === '0' || value.text === '1')) return value.text === '1';
  throw new SendError(`invalid value for "${name}" field`);
}

/** @returns 0  when it is not there */
export function readCount(operand: RegoObject, name: string): number {
  const value = operand.get(name);
  if (value === undefined) return 0;
  const count = value instanceof RegoNumber ? Number(toInt64(value.text) ?? -1) : -1;
  if (count < 0) throw new SendError(`invalid value ${writeText(value)} for field "${name}"`);
  return count;
}

/** OPA takes quotes away at both ends of each string. */
export function readString(operand: RegoObject, name: string): string | undefined {
  const value = operand.get(name);
  if (value === undefined) return undefined;
  if (typeof value !== 'string') throw new SendError(`"${name}" must be a string`);
  return value.replace(/^"+|"+$/g, '');
}

/** @returns undefined  for a value that is no boolean; true when it is not there */
export function readRaiseError(operand: RegoObject): boolean | undefined {
  const value = operand.get('raise_error') ?? true;
  return typeof value === 'boolean' ? value : undefined;
}
