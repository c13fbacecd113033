import { describe, expect, it } from 'vitest';
import { createFailureAllowance } from '../../../src/policy/failure-allowance.ts';

const START = 1_000;

describe('the time that failing evaluations may take', () => {
  it('is half a second and what is gained meanwhile, at once', () => {
    const allowance = createFailureAllowance(START);
    allowance.spend(START, START + 500);
    expect(allowance.isUsedUp(START + 500)).toBe(true);
    expect(createFailureAllowance(START).isUsedUp(START)).toBe(false);
  });

  it('is a quarter of the time from then on, and what was spent too much is owed', () => {
    const allowance = createFailureAllowance(START);
    allowance.spend(START - 600, START);
    expect(allowance.isUsedUp(START + 400)).toBe(true);
    expect(allowance.isUsedUp(START + 401)).toBe(false);
  });

  it('is owed for four seconds at the most, however long the failing ones went on', () => {
    const allowance = createFailureAllowance(START);
    allowance.spend(START, START + 60_000);
    expect(allowance.isUsedUp(START + 62_000)).toBe(true);
    expect(allowance.isUsedUp(START + 62_001)).toBe(false);
  });

  it('does not grow beyond its beginning', () => {
    const allowance = createFailureAllowance(START);
    const later = START + 3_600_000;
    expect(allowance.isUsedUp(later)).toBe(false);
    allowance.spend(later - 500, later);
    expect(allowance.isUsedUp(later)).toBe(true);
  });
});
