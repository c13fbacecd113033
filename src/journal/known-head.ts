import { Failure } from '../core/failure.ts';
import type { Position } from '../core/position.ts';

/**
 * Says at once when a store has lost what was applied here. Another entry at the seq that was applied, with more
 * after it, shows in the chain.
 *
 * @throws Failure store_mismatch  for an empty journal: it is never served as an empty world; store_diverged
 */
export function expectKnownHead(mine: Position, head: Position): void {
  if (head.seq === 0 && mine.seq === 0) {
    throw new Failure('store_mismatch', 'the journal has no genesis; `chancery init` writes it');
  }
  if (head.seq < mine.seq) {
    throw new Failure('store_diverged', `the store ends at seq ${head.seq}, ${mine.seq} was applied`);
  }
  if (mine.seq > 0 && head.epoch !== mine.epoch) {
    throw new Failure('store_diverged', `the store is in epoch ${head.epoch}, not ${mine.epoch}`);
  }
  if (head.seq === mine.seq && head.digest !== mine.digest) {
    throw new Failure('store_diverged', `seq ${head.seq} is another entry than the one applied`);
  }
}
