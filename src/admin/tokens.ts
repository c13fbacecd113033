/**
 * API tokens. The journal holds SHA-256 of a token's text and nothing that could be shown as one; the text exists
 * once, in the answer that issues it.
 *
 * A token reads `chy_<id>.<secret>`. The secret has 256 random bits, so that a plain hash is enough to keep.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { type Digest, sha256 } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { Draft } from '../journal/journal.ts';
import type { RandomBytes } from '../journal/random.ts';
import { SCOPE_ALL } from './scopes.ts';
import type { ApiToken, TokenState } from './token-state.ts';

const MAX_TOKEN_DAYS = 366;
const DAY_MS = 86_400_000;
const ONE_TIME_MS = 3_600_000;
const ID_BYTES = 9;
const SECRET_BYTES = 32;
/** Of a token from a file, which may have any form; there is one at most. */
const FILE_TOKEN_ID = 'file';
const FILE_TOKEN = /^[\x21-\x7e]{32,512}$/;
const ISSUED_TOKEN = /^chy_([0-9a-f]{18})\.[A-Za-z0-9_-]{43}$/;
/** Of either kind: `chn_` enrols a node. */
const ANY_TOKEN = /^ch[yn]_([0-9a-f]{18})\.[A-Za-z0-9_-]{43}$/;

export interface NewToken {
  readonly id: string;
  /** the only time that it can be read */
  readonly token: string;
  /** RFC 3339, UTC */
  readonly expiresAt: string;
  readonly draft: Draft;
}

/** The token of `chancery init`: one hour, one use, and that use is to issue another. */
export function createOneTimeToken(deps: { readonly clock: Clock; readonly random: RandomBytes }): NewToken {
  return newToken(deps.random, {
    name: 'init',
    scopes: ['token:admin'],
    expiresAt: toTimestamp(deps.clock.nowMs() + ONE_TIME_MS),
    oneTime: true,
  });
}

/** @throws Failure registry_rejected  when the expiry is past, or more than 366 days away */
export function createIssuedToken(
  wanted: { readonly name: string; readonly scopes: readonly string[]; readonly expiresAt: string },
  deps: { readonly clock: Clock; readonly random: RandomBytes },
): NewToken {
  const { name, scopes } = wanted;
  return newToken(deps.random, { name, scopes, expiresAt: boundedExpiry(wanted.expiresAt, deps.clock) });
}

/**
 * Takes the token of `admin.tokenFile` into an in-memory journal; valid as long as a token can be.
 *
 * @param text  content of the file; white space around it is ignored
 * @throws Failure credential_invalid  when it is not 32 to 512 visible ASCII characters
 */
export function createFileToken(text: string, deps: { readonly clock: Clock }): NewToken {
  const token = text.trim();
  if (!FILE_TOKEN.test(token)) {
    throw new Failure('credential_invalid', 'a token file holds one token of 32 to 512 visible characters');
  }
  const expiresAt = toTimestamp(deps.clock.nowMs() + MAX_TOKEN_DAYS * DAY_MS);
  const id = idOf(token);
  return {
    id,
    token,
    expiresAt,
    draft: issueDraft({ id, name: 'file', scopes: [SCOPE_ALL], expiresAt }, token),
  };
}

/**
 * @param authorization  value of the header field
 * @throws Failure credential_missing, _invalid, _expired, _revoked
 */
export function authenticateToken(
  authorization: string | undefined,
  state: TokenState,
  clock: Clock,
): ApiToken {
  if (authorization === undefined) throw new Failure('credential_missing', 'a bearer token is needed');
  const text = /^Bearer +([\x21-\x7e]{1,512})$/i.exec(authorization)?.[1];
  if (text === undefined) throw new Failure('credential_invalid', 'Authorization is not one bearer token');
  const known = state.get(idOf(text));
  // An unknown id is compared as well, so that the time says nothing about which ids exist.
  const matches = equalDigests(sha256(text), known?.sha256 ?? sha256('unknown'));
  if (known === undefined || !matches) throw new Failure('credential_invalid', 'the token is not known');
  requireUsable(known, clock);
  return known;
}

export function isUsable(token: ApiToken | undefined, clock: Clock): boolean {
  return token !== undefined && !token.ended && clock.nowMs() < Date.parse(token.expiresAt);
}

/** @throws Failure credential_revoked; credential_expired */
export function requireUsable(token: ApiToken | undefined, clock: Clock): void {
  if (token === undefined || token.ended) {
    throw new Failure('credential_revoked', 'the token was revoked, or was for one use and has been used');
  }
  if (clock.nowMs() >= Date.parse(token.expiresAt)) {
    throw new Failure('credential_expired', `the token expired at ${token.expiresAt}`);
  }
}

function newToken(random: RandomBytes, form: Omit<TokenForm, 'id'>): NewToken {
  const id = Buffer.from(random(ID_BYTES)).toString('hex');
  const token = `chy_${id}.${Buffer.from(random(SECRET_BYTES)).toString('base64url')}`;
  return { id, token, expiresAt: form.expiresAt, draft: issueDraft({ id, ...form }, token) };
}

interface TokenForm {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly expiresAt: string;
  readonly oneTime?: true;
}

function issueDraft(form: TokenForm, text: string): Draft {
  return { kind: 'token.issue', body: { ...form, sha256: sha256(text) } };
}

function boundedExpiry(expiresAt: string, clock: Clock): string {
  const atMs = Date.parse(expiresAt);
  const refuse = (message: string): Failure =>
    new Failure('registry_rejected', 'the expiry of the token was refused', {
      issues: [{ pointer: '/expiresAt', code: 'expiry_out_of_bounds', message }],
    });
  if (!(atMs > clock.nowMs())) throw refuse('must be in the future');
  if (atMs > clock.nowMs() + MAX_TOKEN_DAYS * DAY_MS) throw refuse(`must be within ${MAX_TOKEN_DAYS} days`);
  return toTimestamp(atMs);
}

/**
 * Which token a call says that it comes with, for the log: the id, which is no secret, and never the rest.
 *
 * @returns undefined when it is no token that was issued
 */
export function claimedTokenId(authorization: string | undefined): string | undefined {
  const text = /^Bearer +(\S{1,512})$/i.exec(authorization ?? '')?.[1];
  return text === undefined ? undefined : ANY_TOKEN.exec(text)?.[1];
}

function idOf(text: string): string {
  return ISSUED_TOKEN.exec(text)?.[1] ?? FILE_TOKEN_ID;
}

function equalDigests(a: Digest, b: Digest): boolean {
  return timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

function toTimestamp(ms: number): string {
  return new Date(ms).toISOString();
}
