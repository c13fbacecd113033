/** At most so many lines a second about one peer and about all: a stranger must not be able to fill the disk. */
export interface PeerLineLimit {
  /**
   * @param nowMs  of any clock that goes forward
   * @returns how many lines were left out since the last one, about whomever; undefined: leave this one out too
   */
  take(peer: string, nowMs: number): number | undefined;
}

export function createPeerLineLimit({
  perPeer,
  total,
}: {
  readonly perPeer: number;
  readonly total: number;
}): PeerLineLimit {
  /** of this second; no more peers than lines */
  const written = new Map<string, number>();
  let second = Number.NaN;
  let all = 0;
  let leftOut = 0;
  return {
    take(peer, nowMs) {
      const current = Math.floor(nowMs / 1_000);
      if (current !== second) {
        second = current;
        all = 0;
        written.clear();
      }
      const ofPeer = written.get(peer) ?? 0;
      if (ofPeer >= perPeer || all >= total) {
        leftOut += 1;
        return undefined;
      }
      written.set(peer, ofPeer + 1);
      all += 1;
      const before = leftOut;
      leftOut = 0;
      return before;
    },
  };
}
