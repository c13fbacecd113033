/**
 * A JWT in, a user out (RFC 7519, with the advice of RFC 8725): the issuer is known, the algorithm is one that the
 * issuer is allowed, the signature is by one of its keys, the audience is ours, `exp` is there and `nbf` has passed.
 */
import { decodeJwt, errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import type { JsonObject } from '../core/json.ts';
import { parseJson } from '../core/parse-json.ts';
import type { User } from '../core/principal.ts';
import { createIssuerKeys, type Fetch } from './jwks.ts';
import type { IdentityOptions } from './options.ts';
import type { IssuerRecord, IssuersView } from './state.ts';

export interface JwtDeps {
  readonly issuers: IssuersView;
  readonly options: IdentityOptions;
  readonly clock: Clock;
  /** default: the one of the platform */
  readonly fetch?: Fetch;
  /** an issuer was asked for its keys */
  readonly onKeysRead?: (issuer: string, isGood: boolean) => void;
}

interface VerifiedToken {
  readonly user: User;
  /** whichever comes first: the token expires, or it is to be verified again */
  readonly untilMs: number;
}

/** What belongs to one issuer as it is now; a change of the issuer leaves it behind, cached tokens included. */
interface Verifier {
  readonly keys: JWTVerifyGetKey;
  readonly verified: LRUCache<string, VerifiedToken>;
}

const MAX_TOKEN_LENGTH = 16 * 1024;
/** Claims become policy input; nothing sensible is nested deeper. */
const MAX_CLAIMS_DEPTH = 32;

/**
 * @returns a function from a token to its user
 * throws Failure credential_invalid, credential_expired, issuer_unknown, issuer_unavailable
 */
export function createJwtVerifier(deps: JwtDeps): (token: string) => Promise<User> {
  const { clock, options } = deps;
  const verifiers = new WeakMap<IssuerRecord, Verifier>();

  const verifierOf = (record: IssuerRecord): Verifier => {
    let verifier = verifiers.get(record);
    if (verifier === undefined) {
      const fetchKeys = deps.fetch ?? ((url, init) => fetch(url, init));
      verifier = {
        keys: createIssuerKeys(record.value.jwksUri, options, {
          clock,
          fetch: fetchKeys,
          onRead: (isGood) => deps.onKeysRead?.(record.name, isGood),
        }),
        verified: new LRUCache({ max: options.tokenCacheEntries }),
      };
      verifiers.set(record, verifier);
    }
    return verifier;
  };

  return async (token) => {
    const record = deps.issuers.byIssuer(claimedIssuer(token));
    if (record === undefined) throw new Failure('issuer_unknown', 'no such issuer is registered');
    const { keys, verified } = verifierOf(record);
    const known = verified.get(token);
    if (known !== undefined && clock.nowMs() < known.untilMs) return known.user;
    const fresh = await verify(token, record, keys, deps);
    verified.set(token, fresh);
    return fresh.user;
  };
}

/** What an unverified token says of itself: it only chooses the rules by which it is then verified. */
function claimedIssuer(token: string): string {
  if (token.length > MAX_TOKEN_LENGTH) throw new Failure('credential_invalid', 'the token is too long');
  let issuer: unknown;
  try {
    issuer = decodeJwt(token).iss;
  } catch (thrown) {
    throw new Failure('credential_invalid', 'the token is not a JWT', { cause: thrown });
  }
  if (typeof issuer !== 'string') throw new Failure('credential_invalid', 'the token names no issuer');
  return issuer;
}

async function verify(
  token: string,
  { value }: IssuerRecord,
  keys: JWTVerifyGetKey,
  { clock, options }: JwtDeps,
): Promise<VerifiedToken> {
  const nowMs = clock.nowMs();
  const { payload } = await jwtVerify(token, keys, {
    issuer: value.issuer,
    audience: [...value.audiences],
    algorithms: [...value.algorithms],
    requiredClaims: ['exp', 'sub'],
    clockTolerance: options.clockToleranceSeconds,
    currentDate: new Date(nowMs),
  }).catch((thrown: unknown) => {
    throw toFailure(thrown);
  });
  const { sub, exp = 0 } = payload;
  if (typeof sub !== 'string' || sub === '')
    throw new Failure('credential_invalid', 'the token has no subject');
  const claims = claimsOf(token, payload as JsonObject);
  expectReadable(claims);
  return {
    user: { issuer: value.issuer, subject: sub, claims },
    untilMs: Math.min(exp * 1000, nowMs + options.tokenCacheSeconds * 1000),
  };
}

/** What was verified, read by keys that can be relied on. */
function claimsOf(token: string, payload: JsonObject): JsonObject {
  const text = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
  return text.includes('\\') ? (parseJson(text) as JsonObject) : payload;
}

function toFailure(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  if (thrown instanceof errors.JWTExpired) return new Failure('credential_expired', 'the token has expired');
  const detail = 'the token is not valid for this service';
  return new Failure('credential_invalid', detail, { cause: thrown });
}

/**
 * By levels, not by recursion: claims come from outside. An integer beyond 2^53 has become its neighbour by now, and
 * a policy that compares account numbers would take one for the other.
 *
 * @throws Failure credential_invalid
 */
function expectReadable(claims: JsonObject): void {
  let level: unknown[] = Object.values(claims);
  for (let depth = 1; level.length > 0; depth++) {
    if (level.some((member) => typeof member === 'number' && !isExact(member)))
      throw new Failure('credential_invalid', 'a number in the claims has too many digits; make it a string');
    const objects = level.filter((member): member is object => typeof member === 'object' && member !== null);
    if (objects.length > 0 && depth >= MAX_CLAIMS_DEPTH)
      throw new Failure('credential_invalid', 'the claims are nested too deeply');
    level = objects.flatMap((member) => Object.values(member) as unknown[]);
  }
}

function isExact(number: number): boolean {
  return Number.isFinite(number) && (Number.isSafeInteger(number) || !Number.isInteger(number));
}
