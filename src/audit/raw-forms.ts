/** Where else the proxy shows what a mask policy has taken out: a mask of `parsed_query` would leave it in `path`. */
import { overlap, parsePointer } from './json-pointer.ts';
import type { Masked } from './mask.ts';
import { plainName, type SecretNames } from './secret-names.ts';

const IDENTITY = ['input', 'identity'];
/** Who it was, which `chancery.principal` repeats. */
const PRINCIPALS = [IDENTITY, ['input', 'source_principal'], ['input', 'attributes', 'source', 'principal']];

/** @param pointer  of something that was changed */
export function showsPrincipal(pointer: string): boolean {
  const parts = parsePointer(pointer) ?? [];
  return PRINCIPALS.some((place) => overlap(parts, place));
}

export interface RawForms {
  /** `body` and `rawBody` must go */
  readonly body: boolean;
  /** path and query must go whole */
  readonly target: boolean;
  /** `headerMap` must go whole */
  readonly headerMap: boolean;
  /** who it was was masked, or would have been: what the proxy says of the claims must go */
  readonly claims: boolean;
  /** of `headers` and `headerMap`, in lower case: values that must go */
  readonly headers: ReadonlySet<string>;
  isSecretInQuery(name: string): boolean;
}

export function rawFormsOf({ erased, masked, missed }: Masked, names: SecretNames): RawForms {
  const headers = new Set<string>();
  const parameters = new Set<string>();
  let body = false;
  let target = false;
  let headerMap = false;
  for (const pointer of [...erased, ...masked]) {
    const [root, first, second, third, fourth, fifth] = parsePointer(pointer) ?? [];
    if (root !== 'input') continue;
    if (first === 'parsed_body') body = true;
    else if (first === 'parsed_path') target = true;
    else if (first === 'parsed_query') {
      if (second === undefined) target = true;
      else parameters.add(plainName(second));
    } else if (first === 'attributes' && second === 'request' && third === 'http') {
      if (fourth === 'path' || fourth === 'query') target = true;
      if (fourth === 'headers' && fifth === ':path') target = true;
      if (fourth === 'headers' && fifth === undefined) headerMap = true;
      if (fourth === 'headers' && fifth !== undefined) headers.add(fifth.toLowerCase());
      if (fourth === 'body' || fourth === 'rawBody') body = true;
    }
  }
  const isOfIdentity = (pointer: string): boolean => overlap(parsePointer(pointer) ?? [], IDENTITY);
  return {
    body,
    target,
    claims: [...erased, ...masked, ...missed].some(isOfIdentity),
    headerMap,
    headers,
    isSecretInQuery: (name) => names.hasInQuery(name) || parameters.has(plainName(name)),
  };
}
