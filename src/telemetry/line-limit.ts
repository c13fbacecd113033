/** At most so many lines a second of one kind: whoever makes us refuse must not be able to fill the disk. */
export interface LineLimit {
  /**
   * @param nowMs  of any clock that goes forward
   * @returns how many lines were left out since the last one; undefined: leave this one out too
   */
  take(nowMs: number): number | undefined;
}

export function createLineLimit(perSecond: number): LineLimit {
  let second = Number.NaN;
  let written = 0;
  let leftOut = 0;
  return {
    take(nowMs) {
      const current = Math.floor(nowMs / 1_000);
      if (current !== second) [second, written] = [current, 0];
      if (written >= perSecond) {
        leftOut += 1;
        return undefined;
      }
      written += 1;
      const before = leftOut;
      leftOut = 0;
      return before;
    },
  };
}
