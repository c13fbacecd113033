/** Long work on the thread that answers Checks, a little at a time. */
import { setImmediate as nextTurn } from 'node:timers/promises';

export interface Slices {
  /** Lets others run when the slice is over; else it costs the reading of a clock. */
  next(): Promise<void> | undefined;
}

/** @param sliceMs  how long at a time, on the monotonic clock */
export function createSlices(sliceMs: number): Slices {
  let endsMs = performance.now() + sliceMs;
  const rest = async (): Promise<void> => {
    await nextTurn();
    endsMs = performance.now() + sliceMs;
  };
  return { next: () => (performance.now() < endsMs ? undefined : rest()) };
}
