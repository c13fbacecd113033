import { describe, expect, it } from 'vitest';
import { createPeerLineLimit } from '../../../src/telemetry/peer-line-limit.ts';

describe('lines about peers', () => {
  it('are bounded per peer and second, and the next one tells how many were left out', () => {
    const limit = createPeerLineLimit({ perPeer: 2, total: 100 });
    expect([0, 1, 2, 3].map((ms) => limit.take('a', ms))).toEqual([0, 0, undefined, undefined]);
    expect(limit.take('b', 4)).toBe(2);
    expect(limit.take('a', 1_000)).toBe(0);
  });

  it('are bounded over all peers', () => {
    const limit = createPeerLineLimit({ perPeer: 2, total: 3 });
    const taken = Array.from({ length: 1_000 }, (_, index) => limit.take(`peer-${index}`, 0));
    expect(taken.filter((each) => each !== undefined)).toHaveLength(3);
    expect(limit.take('a', 1_000)).toBe(997);
  });
});
