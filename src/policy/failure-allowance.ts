/**
 * How much of the thread's time the failing evaluations of one policy may take before evaluations get a smaller budget.
 * One that ends at its budget takes tens of milliseconds; whoever can cause one can cause many, and all other Checks
 * would wait behind them.
 *
 * All times are milliseconds from any one beginning.
 */
export interface FailureAllowance {
  isUsedUp(nowMs: number): boolean;
  /** An evaluation has failed, and its instance is restored. */
  spend(startedMs: number, endedMs: number): void;
}

/** What may be taken at once, … */
const BURST_MS = 500;
/** … and of each millisecond afterwards. */
const SHARE = 0.25;

/** @param burstMs  default 500 */
export function createFailureAllowance(nowMs: number, burstMs: number = BURST_MS): FailureAllowance {
  let left = burstMs;
  let atMs = nowMs;
  const refill = (untilMs: number): void => {
    left = Math.min(burstMs, left + (untilMs - atMs) * SHARE);
    atMs = untilMs;
  };
  return {
    isUsedUp(untilMs) {
      refill(untilMs);
      return left <= 0;
    },
    spend(startedMs, endedMs) {
      refill(endedMs);
      // what is owed is paid back within a few seconds, whatever went before
      left = Math.max(-burstMs, left - (endedMs - startedMs));
    },
  };
}
