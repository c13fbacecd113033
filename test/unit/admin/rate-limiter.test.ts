import { describe, expect, it } from 'vitest';
import { createAdmission } from '../../../src/admin/admission.ts';
import { createRateLimiter } from '../../../src/admin/rate-limiter.ts';
import { createTokenState } from '../../../src/admin/token-state.ts';
import { Failure } from '../../../src/core/failure.ts';

const limiterAt = (limit: { perSecond?: number; burst?: number; maxKeys?: number }) => {
  const time = { nowMs: 1_000_000 };
  const clock = { nowMs: () => time.nowMs };
  return { time, limiter: createRateLimiter({ perSecond: 2, burst: 3, maxKeys: 10, ...limit }, clock) };
};

describe('a rate limiter', () => {
  it('lets a burst through, and then as many as the rate', () => {
    const { time, limiter } = limiterAt({});
    expect([1, 2, 3, 4].map(() => limiter.take('a'))).toEqual([0, 0, 0, 1]);
    time.nowMs += 499;
    expect(limiter.take('a')).toBe(1);
    time.nowMs += 1;
    expect([limiter.take('a'), limiter.take('a')]).toEqual([0, 1]);
    time.nowMs += 3_600_000;
    expect([1, 2, 3, 4].map(() => limiter.take('a'))).toEqual([0, 0, 0, 1]);
  });

  it('keeps keys apart, and says how long to wait', () => {
    const { limiter } = limiterAt({ perSecond: 1 / 60, burst: 1 });
    expect([limiter.take('a'), limiter.take('a'), limiter.take('b')]).toEqual([0, 60, 0]);
  });

  it('fills nothing while the clock runs backwards, and goes on from there', () => {
    const { time, limiter } = limiterAt({ burst: 1 });
    limiter.take('a');
    time.nowMs -= 3_600_000;
    expect(limiter.take('a')).toBe(1);
    time.nowMs += 500;
    expect(limiter.take('a')).toBe(0);
  });

  it('keeps a bounded number of keys, and forgets the one that was used longest ago', () => {
    const { limiter } = limiterAt({ burst: 1, maxKeys: 3 });
    for (const key of ['a', 'b', 'c', 'a', 'd']) limiter.take(key);
    expect(limiter.size()).toBe(3);
    expect(limiter.take('a')).toBe(1); // used again after b
    expect(limiter.take('b')).toBe(0);
    for (let n = 0; n < 1_000; n += 1) limiter.take(`k${n}`);
    expect(limiter.size()).toBe(3);
  });
});

describe('the admission', () => {
  it('counts what every address has shown wrong, and says when to come back', () => {
    const admit = createAdmission({
      options: { rateLimit: { requestsPerSecond: 1, burst: 1, failedPerMinute: 2 } },
      tokens: createTokenState(),
      clock: { nowMs: () => 0 },
    });
    const refusalOf = (remoteAddress: string, authorization?: string) => {
      try {
        return admit({ remoteAddress, authorization, certificate: () => undefined });
      } catch (thrown) {
        const { code, retryAfterSeconds } = Failure.from(thrown);
        return [code, retryAfterSeconds];
      }
    };
    expect(refusalOf('192.0.2.1')).toEqual(['credential_missing', undefined]);
    expect(refusalOf('192.0.2.1', 'Bearer x')).toEqual(['credential_invalid', undefined]);
    expect(refusalOf('192.0.2.1', 'Bearer x')).toEqual(['rate_limited', 30]);
    expect(refusalOf('192.0.2.2', 'Bearer x')).toEqual(['credential_invalid', undefined]);
  });
});
