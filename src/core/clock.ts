/** Time is given, never read: tests pass a clock of their own. */
export interface Clock {
  /** milliseconds since 1970-01-01T00:00:00Z */
  readonly nowMs: () => number;
}

export const systemClock: Clock = { nowMs: () => Date.now() };
