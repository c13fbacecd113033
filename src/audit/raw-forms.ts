/**
 * Where else an event shows what a mask policy has taken out: a mask of `parsed_query` would leave it in `path`, and one
 * of `body` in `parsed_body`.
 *
 * A parsed form stays beside a masked raw one where the mask names something in it: then it has been thought of.
 */
import { overlap, parsePointer } from './json-pointer.ts';
import { type LogObject, memberOf } from './json-text.ts';
import type { Masked } from './mask.ts';
import { plainName, type SecretNames } from './secret-names.ts';

type Parts = readonly string[];

const at = (...parts: Parts): Parts => ['input', ...parts];
const http = (...parts: Parts): Parts => at('attributes', 'request', 'http', ...parts);

const IDENTITY = at('identity');
/** Who it was, which `chancery.principal` repeats. */
const PRINCIPALS = [IDENTITY, at('source_principal'), at('attributes', 'source', 'principal')];
/** The workload of a connection, which Envoy may forward in a header besides. */
const WORKLOADS = [
  at('identity', 'workload'),
  at('source_principal'),
  at('attributes', 'source', 'principal'),
  at('attributes', 'source', 'certificate'),
];
const HEADERS_OF_WORKLOAD = ['x-forwarded-client-cert'];
/** Where proxies repeat the path that they were asked for. */
const HEADERS_OF_TARGET = [
  ':path',
  'x-envoy-original-path',
  'x-original-url',
  'x-original-uri',
  'x-rewrite-url',
  'x-forwarded-uri',
];

/** @param pointer  of something that was changed */
export function showsPrincipal(pointer: string): boolean {
  return PRINCIPALS.some((place) => overlap(partsOf(pointer), place));
}

export interface RawForms {
  /** must go; what the mask has put there itself is not among them */
  readonly places: readonly Parts[];
  /** who it was was masked, or would have been: what the proxy says of the claims must go */
  readonly claims: boolean;
  /** of `headerMap`, in lower case: values that must go */
  readonly headers: ReadonlySet<string>;
  isSecretInQuery(name: string): boolean;
}

/** @param input  as it is after the mask; undefined: it has gone */
export function rawFormsOf(
  { erased, masked, missed }: Masked,
  input: LogObject | undefined,
  names: SecretNames,
): RawForms {
  const changes = [...erased, ...masked].map(partsOf);
  const all = [...changes, ...missed.map(partsOf)];
  const changed = (...place: Parts): boolean => changes.some((parts) => overlap(parts, place));
  const named = (...place: Parts): boolean => all.some((parts) => overlap(parts, place));
  /** A parsed form has changed; or it is not there, so that nothing of it could be. */
  const parsedChanged = (name: string): boolean =>
    changed(...at(name)) || (isMissing(input, name) && named(...at(name)));

  const places: Parts[] = [];
  const headers = new Set(changes.flatMap(headerOf));
  const withHeaders = (more: readonly string[]): void => {
    for (const name of more) headers.add(name);
    places.push(...more.map((name) => http('headers', name)));
  };
  const bodyNamed = named(...http('body')) || named(...http('rawBody'));
  if (bodyNamed || parsedChanged('parsed_body')) places.push(http('body'), http('rawBody'));
  if (bodyNamed && !named(...at('parsed_body'))) places.push(at('parsed_body'));

  // all headers at once are not meant for their `:path`
  const pathChanged =
    changed(...http('path')) || changes.some((parts) => isAt(http('headers', ':path'), parts));
  const queryChanged = pathChanged || changed(...http('query'));
  const isQueryMissing = isMissing(input, 'parsed_query');
  const isWholeQuery = (isQueryMissing ? all : changes).some((parts) => isAt(parts, at('parsed_query')));
  if (queryChanged || parsedChanged('parsed_path') || isWholeQuery) {
    places.push(http('path'), http('query'));
    withHeaders(HEADERS_OF_TARGET);
  }
  if (pathChanged && !named(...at('parsed_path'))) places.push(at('parsed_path'));
  if (queryChanged && !named(...at('parsed_query'))) places.push(at('parsed_query'));

  if (changes.some((parts) => isAt(parts, http('headers')))) places.push(http('headerMap'));
  if (changed(...http('headerMap')) && !named(...http('headers'))) places.push(http('headers'));
  if (WORKLOADS.some((place) => changed(...place))) {
    places.push(...WORKLOADS);
    withHeaders(HEADERS_OF_WORKLOAD);
  }
  const parameters = new Set(all.flatMap(parameterOf));
  const puts = masked.map(partsOf);
  return {
    places: places.filter((place) => !puts.some((parts) => isAt(parts, place))),
    claims: named(...IDENTITY),
    headers,
    isSecretInQuery: (name) => names.hasInQuery(name) || parameters.has(plainName(name)),
  };
}

function partsOf(pointer: string): Parts {
  return parsePointer(pointer) ?? [];
}

/** Whether it is the place, or above it. */
function isAt(parts: Parts, place: Parts): boolean {
  return parts.length <= place.length && overlap(parts, place);
}

/** Not there, or not read: the body was cut off, or is of no type that is parsed. */
function isMissing(input: LogObject | undefined, name: string): boolean {
  const value = input && memberOf(input, name);
  return value === undefined || value === null;
}

function headerOf(parts: Parts): readonly string[] {
  const place = http('headers');
  const name = parts[place.length];
  return name !== undefined && overlap(parts, place) ? [name.toLowerCase()] : [];
}

function parameterOf([, first, name]: Parts): readonly string[] {
  return first === 'parsed_query' && name !== undefined ? [plainName(name)] : [];
}
