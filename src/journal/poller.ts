/** Looks on a hint, and after a while without one; never two looks at a time. */

export interface PollerOptions {
  /** may fail: the next look comes all the same */
  readonly look: () => Promise<void>;
  /** how long to wait without a hint, in ms */
  readonly nextMs: () => number;
  readonly signal: AbortSignal;
}

export interface Poller {
  /** Look now, or once more after the look that is running. */
  readonly hint: () => void;
}

export function createPoller({ look, nextMs, signal }: PollerOptions): Poller {
  let timer: NodeJS.Timeout | undefined;
  let looking = false;
  let again = false;

  const hint = (): void => {
    if (signal.aborted) return;
    if (looking) {
      again = true;
      return;
    }
    clearTimeout(timer);
    looking = true;
    look().then(rest, rest);
  };
  const rest = (): void => {
    looking = false;
    if (signal.aborted) return;
    if (again) {
      again = false;
      hint();
      return;
    }
    timer = setTimeout(hint, nextMs());
  };
  signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
  return { hint };
}
