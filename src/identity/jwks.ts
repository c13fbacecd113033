/**
 * The public keys of one issuer, read from its `jwksUri` when they are needed (RFC 7517).
 *
 * Each reading has a time and a size limit and follows no redirect. However tokens are made, keys are not read more
 * often than once per cool-down, and neither is an issuer that is down asked on each request.
 */
import { createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey } from 'jose';
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import type { IdentityOptions } from './options.ts';

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

const MAX_JWKS_BYTES = 512 * 1024;

/** The key that a token asks for; throws Failure issuer_unavailable, or an error of jose when no key fits the token. */
export function createIssuerKeys(
  jwksUri: string,
  options: IdentityOptions,
  deps: {
    readonly clock: Clock;
    readonly fetch: Fetch;
    /** the issuer was asked */
    readonly onRead?: (isGood: boolean) => void;
  },
): JWTVerifyGetKey {
  let failedAtMs = Number.NEGATIVE_INFINITY;
  const cooldownMs = options.jwksCooldownSeconds * 1000;

  const isCoolingDown = (): boolean => deps.clock.nowMs() - failedAtMs < cooldownMs;
  const read: Fetch = async (url, init) => {
    if (isCoolingDown()) throw new Error('the last reading failed a moment ago');
    let isGood = false;
    try {
      const answer = await limited(await deps.fetch(url, init));
      isGood = true;
      return answer;
    } finally {
      deps.onRead?.(isGood);
    }
  };
  const keys = createRemoteJWKSet(new URL(jwksUri), {
    timeoutDuration: options.jwksTimeoutMs,
    cooldownDuration: cooldownMs,
    cacheMaxAge: options.jwksMaxAgeSeconds * 1000,
    [customFetch]: read,
  });

  return async (header, token) => {
    try {
      return await keys(header, token);
    } catch (thrown) {
      if (isAboutTheToken(thrown)) throw thrown;
      // here and not around the reading: a key set that came, and is none, is a failure too
      if (!isCoolingDown()) failedAtMs = deps.clock.nowMs();
      throw new Failure('issuer_unavailable', 'the keys of the issuer cannot be read', { cause: thrown });
    }
  };
}

/** Keys were there, and none, or more than one, is the token's. */
function isAboutTheToken(thrown: unknown): boolean {
  return (
    thrown instanceof errors.JWKSNoMatchingKey ||
    thrown instanceof errors.JWKSMultipleMatchingKeys ||
    thrown instanceof errors.JOSENotSupported
  );
}

/** @throws Error  when the answer is no 200, or too long */
async function limited(response: Response): Promise<Response> {
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`the issuer answered ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MAX_JWKS_BYTES) throw new Error('the key set is too long');
    chunks.push(chunk);
  }
  return new Response(Buffer.concat(chunks));
}
