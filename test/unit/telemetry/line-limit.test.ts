import { describe, expect, it } from 'vitest';
import { createLineLimit } from '../../../src/telemetry/line-limit.ts';

describe('a line limit', () => {
  it('lets so many lines a second pass, and tells with the next one how many it left out', () => {
    const limit = createLineLimit(2);
    expect([0, 10, 20, 999].map((ms) => limit.take(ms))).toEqual([0, 0, undefined, undefined]);
    expect([1_000, 1_001, 1_002].map((ms) => limit.take(ms))).toEqual([2, 0, undefined]);
    expect(limit.take(5_000)).toBe(1);
  });
});
