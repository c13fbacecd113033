/**
 * Who may come in, and how often: a call is authenticated before its body is read, and counted.
 *
 * Failed authentications are counted by remote address. Beyond the limit they are 429; a good token still passes, or
 * else whoever shares an address with a good caller (a NAT, this machine) could lock it out. Guessing is not what
 * this limit is against, 256 random bits are.
 */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import type { AdminOptions } from './options.ts';
import type { Arrival, Caller, OwnCredential } from './own-credential.ts';
import { createRateLimiter } from './rate-limiter.ts';
import type { TokenState } from './token-state.ts';
import { authenticateToken } from './tokens.ts';

const MAX_KEYS = 4_096;

interface AdmissionDeps {
  readonly options: Pick<AdminOptions, 'rateLimit'>;
  readonly tokens: TokenState;
  readonly clock: Clock;
}

/**
 * @returns a function that throws Failure credential_missing, _invalid, _expired, _revoked; rate_limited. Without an
 *          endpoint's own credential the caller is an ApiToken.
 */
export function createAdmission({
  options,
  tokens,
  clock,
}: AdmissionDeps): (arrival: Arrival, own?: OwnCredential<Caller>) => Caller {
  const { requestsPerSecond, burst, failedPerMinute } = options.rateLimit;
  const calls = createRateLimiter({ perSecond: requestsPerSecond, burst, maxKeys: MAX_KEYS }, clock);
  const failures = createRateLimiter(
    { perSecond: failedPerMinute / 60, burst: failedPerMinute, maxKeys: MAX_KEYS },
    clock,
  );

  const authenticate = (arrival: Arrival, own: OwnCredential<Caller> | undefined): Caller => {
    try {
      return own?.authenticate(arrival) ?? authenticateToken(arrival.authorization, tokens, clock);
    } catch (thrown) {
      const waitSeconds = failures.take(arrival.remoteAddress);
      if (waitSeconds === 0) throw thrown;
      throw tooOften('this address has shown too many credentials that are not valid', waitSeconds);
    }
  };

  return (arrival, own) => {
    const caller = authenticate(arrival, own);
    const waitSeconds = calls.take(caller.id);
    if (waitSeconds > 0) throw tooOften('this credential is used too often', waitSeconds);
    return caller;
  };
}

function tooOften(detail: string, retryAfterSeconds: number): Failure {
  return new Failure('rate_limited', detail, { retryAfterSeconds });
}
