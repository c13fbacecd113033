/**
 * Conditional requests (RFC 9110, 13). Every change names what it changes: `If-Match` with the entity tag that was
 * read, or `If-None-Match: *` to create. It is judged against the state at the head, inside the change.
 */
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';

/** What a request demands of the current state of its object. */
export interface Precondition {
  /** `*`: there must be one */
  readonly ifMatch: '*' | readonly string[] | undefined;
  /** there must be none */
  readonly mustNotExist: boolean;
}

/** `*`, or a list of entity tags (RFC 9110, 8.8.3): a pattern for the document, which `parseTags` holds to. */
export const ENTITY_TAGS = '^(\\*|(W/)?"[\\x21\\x23-\\x7e]*"( *, *(W/)?"[\\x21\\x23-\\x7e]*")*)$';
const ENTITY_TAG = /^(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"$/;

/** A strong entity tag: the digest of the entry that changed the object last. */
export function toEntityTag(digest: Digest): string {
  return `"${digest}"`;
}

/** @throws Failure request_malformed */
export function parsePrecondition(headers: {
  readonly ifMatch: string | undefined;
  readonly ifNoneMatch: string | undefined;
}): Precondition {
  const { ifMatch, ifNoneMatch } = headers;
  if (ifNoneMatch !== undefined && ifNoneMatch.trim() !== '*') {
    throw new Failure('request_malformed', 'If-None-Match on a change can only be *');
  }
  return {
    ifMatch: ifMatch === undefined ? undefined : parseTags(ifMatch, 'If-Match'),
    mustNotExist: ifNoneMatch !== undefined,
  };
}

/** @returns whether the request demands anything */
export function isConditional({ ifMatch, mustNotExist }: Precondition): boolean {
  return ifMatch !== undefined || mustNotExist;
}

/** @returns whether a reader has the current form already (`If-None-Match` on GET, weak comparison) */
export function isNotModified(ifNoneMatch: string | undefined, current: string): boolean {
  if (ifNoneMatch === undefined) return false;
  const tags = parseTags(ifNoneMatch, 'If-None-Match');
  return tags === '*' || tags.some((tag) => tag.replace(/^W\//, '') === current);
}

/**
 * @param current  entity tag of the object, undefined when there is none
 * @throws Failure precondition_required; object_changed
 */
export function checkPrecondition(precondition: Precondition, current: string | undefined): void {
  const { ifMatch, mustNotExist } = precondition;
  if (!isConditional(precondition)) {
    throw new Failure(
      'precondition_required',
      'a change needs If-Match with the ETag that was read, or If-None-Match: * to create',
    );
  }
  if (mustNotExist && current !== undefined) {
    throw new Failure('object_changed', 'If-None-Match: * was given, and there is one already');
  }
  if (ifMatch === undefined) return;
  if (current === undefined) throw new Failure('object_changed', 'If-Match was given, and there is none');
  // Strong comparison: a weak tag never matches.
  if (ifMatch !== '*' && !ifMatch.includes(current)) {
    throw new Failure('object_changed', 'the ETag in If-Match is not the current one; read it again');
  }
}

function parseTags(header: string, name: string): '*' | readonly string[] {
  if (header.trim() === '*') return '*';
  const tags = header.split(',').map((tag) => tag.trim());
  if (!tags.every((tag) => ENTITY_TAG.test(tag))) {
    throw new Failure('request_malformed', `${name} is neither * nor a list of quoted entity tags`);
  }
  return tags;
}
