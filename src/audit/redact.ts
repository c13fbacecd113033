/**
 * Takes secrets out of an event, whatever a mask policy has left: members by their names wherever they stand (headers,
 * bodies of every kind, queries, what the policy answered), what looks like a token in any text, the same once more
 * where Envoy repeats it (`path`, `:path`, `headerMap`, raw bodies), and claims that nobody asked for.
 *
 * What a mask has taken out is taken out of the other forms of the same, too (`raw-forms.ts`).
 */
import { formatPointer } from './json-pointer.ts';
import { isLogObject, type LogJson, type LogObject, memberOf } from './json-text.ts';
import type { Changes, Masked } from './mask.ts';
import type { RedactOptions } from './options.ts';
import { rawFormsOf } from './raw-forms.ts';
import { scrubTarget, scrubText } from './scrub.ts';
import { createSecretNames, type SecretNames } from './secret-names.ts';

/** @param masked  what a mask policy has changed already */
export type Redact = (event: LogObject, masked: Masked) => Changes;

const CLAIMS_OF_PROXY = 'envoy.filters.http.jwt_authn';
/** Texts with a path and a query; `name` of a member or of a header, in lower case. */
const TARGETS: ReadonlySet<string> = new Set([
  ':path',
  'path',
  'query',
  'fragment',
  'referer',
  'location',
  'x-envoy-original-path',
  'x-original-url',
  'x-original-uri',
  'x-rewrite-url',
  'x-forwarded-uri',
]);

export function createRedact(options: RedactOptions): Redact {
  const names = createSecretNames(options.names);
  return (event, before) => {
    const changes = new Recorded(before.masked);
    const input = memberOf(event, 'input');
    const raw = rawFormsOf(before, isLogObject(input) ? input : undefined, names);
    if (isLogObject(input)) {
      for (const place of raw.places) eraseAt(event, place, changes);
      redactHttp(httpOf(input), { options, raw, names, changes });
      redactClaims(input, options.claims, changes);
      if (raw.claims || !options.claims.includes('*')) eraseClaimsOfProxy(input, changes);
    }
    const cache = memberOf(event, 'nd_builtin_cache');
    if (isLogObject(cache)) eraseCalls(cache, changes);
    for (const root of ['input', 'result', 'nd_builtin_cache']) {
      const value = memberOf(event, root);
      if (value === undefined) continue;
      event[root] = walk(value, { key: root }, { names, isSecretInQuery: raw.isSecretInQuery, changes });
    }
    const http = isLogObject(input) ? httpOf(input) : undefined;
    if (http !== undefined && changes.has('/input/parsed_body')) eraseBodies(http, changes);
    return changes;
  };
}

/** Their arguments hold no documents and no keys. */
const CALLS_WITHOUT_SECRETS: ReadonlySet<string> = new Set([
  'net.lookup_ip_addr',
  'opa.runtime',
  'rand.intn',
  'time.now_ns',
  'uuid.rfc4122',
]);

/** Of calls, the arguments are the keys: whole requests with their headers, tokens, and what they are signed with. */
function eraseCalls(cache: LogObject, changes: Recorded): void {
  for (const name of Object.keys(cache)) {
    const calls = memberOf(cache, name);
    const keys = isLogObject(calls) ? Object.keys(calls) : [];
    // all of its calls, since `erased` would name the key
    if (!CALLS_WITHOUT_SECRETS.has(name) || keys.some((key) => scrubText(key) !== key))
      changes.erase(cache, name, ['nd_builtin_cache']);
  }
}

const HTTP_PLACE = ['input', 'attributes', 'request', 'http'] as const;

function httpOf(input: LogObject): LogObject | undefined {
  let node: LogJson | undefined = input;
  for (const key of HTTP_PLACE.slice(1)) node = isLogObject(node) ? memberOf(node, key) : undefined;
  return isLogObject(node) ? node : undefined;
}

interface HttpContext {
  readonly options: RedactOptions;
  readonly raw: ReturnType<typeof rawFormsOf>;
  readonly names: SecretNames;
  readonly changes: Recorded;
}

function redactHttp(http: LogObject | undefined, { options, raw, names, changes }: HttpContext): void {
  if (http === undefined) return;
  if (!options.bodies) eraseBodies(http, changes);
  scrubBase64(http, 'rawBody', scrubText, () => changes.mask([...HTTP_PLACE, 'rawBody']));
  const map = memberOf(http, 'headerMap');
  const list = isLogObject(map) ? memberOf(map, 'headers') : undefined;
  if (!Array.isArray(list)) return;
  list.forEach((header, index) => {
    if (!isLogObject(header)) return;
    const key = memberOf(header, 'key');
    const name = typeof key === 'string' ? key.toLowerCase() : '';
    const place = [...HTTP_PLACE, 'headerMap', 'headers', String(index)];
    const isGone = names.has(name) || raw.headers.has(name);
    if (isGone) {
      for (const key of ['value', 'rawValue']) changes.erase(header, key, place);
      return;
    }
    redactHeader(header, name, raw.isSecretInQuery, (key) => changes.mask([...place, key]));
  });
}

/** One of `headerMap`, whose values are base64. */
function redactHeader(
  header: LogObject,
  name: string,
  isSecret: (name: string) => boolean,
  masked: (key: string) => void,
): void {
  const scrub = (text: string): string => (TARGETS.has(name) ? scrubTarget(text, isSecret) : scrubText(text));
  const value = memberOf(header, 'value');
  if (typeof value === 'string' && scrub(value) !== value) {
    header['value'] = scrub(value);
    masked('value');
  }
  scrubBase64(header, 'rawValue', scrub, () => masked('rawValue'));
}

function scrubBase64(
  object: LogObject,
  key: string,
  scrub: (text: string) => string,
  masked: () => void,
): void {
  const raw = memberOf(object, key);
  if (typeof raw !== 'string') return;
  // one character for each byte, so that what is no UTF-8 stays what it is
  const text = Buffer.from(raw, 'base64').toString('latin1');
  const clean = scrub(text);
  if (clean === text) return;
  object[key] = Buffer.from(clean, 'latin1').toString('base64');
  masked();
}

function eraseBodies(http: LogObject, changes: Recorded): void {
  for (const key of ['body', 'rawBody']) changes.erase(http, key, HTTP_PLACE);
}

function eraseAt(event: LogObject, place: readonly string[], changes: Recorded): void {
  const above = place.slice(0, -1);
  let node: LogJson | undefined = event;
  for (const key of above) node = isLogObject(node) ? memberOf(node, key) : undefined;
  if (isLogObject(node)) changes.erase(node, place.at(-1) ?? '', above);
}

function redactClaims(input: LogObject, kept: readonly string[], changes: Recorded): void {
  if (kept.includes('*')) return;
  const identity = memberOf(input, 'identity');
  const user = isLogObject(identity) ? memberOf(identity, 'user') : undefined;
  const claims = isLogObject(user) ? memberOf(user, 'claims') : undefined;
  if (!isLogObject(claims)) return;
  for (const name of Object.keys(claims))
    if (!kept.includes(name)) changes.erase(claims, name, ['input', 'identity', 'user', 'claims']);
}

/** Its filter for JWTs may show all of them again. */
function eraseClaimsOfProxy(input: LogObject, changes: Recorded): void {
  const attributes = memberOf(input, 'attributes');
  const context = isLogObject(attributes) ? memberOf(attributes, 'metadataContext') : undefined;
  for (const key of ['filterMetadata', 'typedFilterMetadata']) {
    const metadata = isLogObject(context) ? memberOf(context, key) : undefined;
    if (isLogObject(metadata))
      changes.erase(metadata, CLAIMS_OF_PROXY, ['input', 'attributes', 'metadataContext', key]);
  }
}

interface Place {
  readonly up?: Place;
  readonly key: string;
}
interface WalkContext {
  readonly names: SecretNames;
  readonly isSecretInQuery: (name: string) => boolean;
  readonly changes: Recorded;
}

function walk(node: LogJson, place: Place, context: WalkContext): LogJson {
  if (typeof node === 'string') return redactText(node, place, context);
  if (Array.isArray(node)) {
    node.forEach((element, index) => {
      node[index] = walk(element, { up: place, key: String(index) }, context);
    });
    return node;
  }
  if (!isLogObject(node)) return node;
  const isQuery = place.key === 'parsed_query' && place.up?.key === 'input';
  for (const key of Object.keys(node)) {
    if (isQuery ? context.isSecretInQuery(key) : context.names.has(key)) {
      context.changes.erase(node, key, partsOf(place));
      continue;
    }
    const value = node[key] as LogJson;
    const next = walk(value, { up: place, key }, context);
    if (next !== value) node[key] = next;
  }
  return node;
}

function redactText(text: string, place: Place, { isSecretInQuery, changes }: WalkContext): string {
  const isTarget = TARGETS.has(place.key.toLowerCase());
  const clean = isTarget ? scrubTarget(text, isSecretInQuery) : scrubText(text);
  if (clean !== text) changes.mask(partsOf(place));
  return clean;
}

function partsOf(place: Place): readonly string[] {
  const parts = [];
  for (let at: Place | undefined = place; at !== undefined; at = at.up) parts.push(at.key);
  return parts.reverse();
}

class Recorded implements Changes {
  readonly erased: string[] = [];
  readonly masked: string[] = [];
  /** what a mask policy has put there */
  readonly #kept: ReadonlySet<string>;

  constructor(kept: readonly string[]) {
    this.#kept = new Set(kept);
  }

  erase(object: LogObject, key: string, place: readonly string[]): void {
    if (!Object.hasOwn(object, key)) return;
    const pointer = formatPointer([...place, key]);
    if (this.#kept.has(pointer)) return;
    delete object[key];
    this.erased.push(pointer);
  }

  mask(place: readonly string[]): void {
    this.masked.push(formatPointer(place));
  }

  /** Whether something below a pointer was changed. */
  has(pointer: string): boolean {
    const isBelow = (each: string): boolean => each.startsWith(`${pointer}/`);
    return this.erased.some(isBelow) || this.masked.some(isBelow);
  }
}
