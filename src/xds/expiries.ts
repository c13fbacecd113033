/**
 * Wakes when what a node was given ends by time: no entry of the journal says so. A little early, which is the safe side,
 * since only what allows can end.
 */
import type { Clock } from '../core/clock.ts';
import { endOf } from '../registry/expiry.ts';
import type { RegistryView } from '../registry/view.ts';

/** About what a push takes. */
const LEAD_MS = 250;
/** Time may be set anew: nobody waits longer than this without looking. */
const MAX_WAIT_MS = 30_000;

export interface Expiries {
  /** the time to build for */
  asOfMs(): number;
  /** Says until when a node's resources are right. */
  set(id: string, endMs: number | undefined): void;
  isDue(id: string): boolean;
  close(): void;
}

export function createExpiries(clock: Clock, onDue: (ids: readonly string[]) => void): Expiries {
  const ends = new Map<string, number>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let nextMs = Number.POSITIVE_INFINITY;
  const asOfMs = (): number => clock.nowMs() + LEAD_MS;
  const isDue = (id: string): boolean => (ends.get(id) ?? Number.POSITIVE_INFINITY) <= asOfMs();

  const wake = (): void => {
    const due = [...ends.keys()].filter(isDue);
    for (const id of due) ends.delete(id);
    nextMs = Number.POSITIVE_INFINITY;
    for (const endMs of ends.values()) nextMs = Math.min(nextMs, endMs);
    arm();
    if (due.length > 0) onDue(due);
  };

  const arm = (): void => {
    clearTimeout(timer);
    if (nextMs === Number.POSITIVE_INFINITY) return;
    timer = setTimeout(wake, Math.min(Math.max(0, nextMs - asOfMs()), MAX_WAIT_MS)).unref();
  };

  return {
    asOfMs,
    isDue,
    set(id, endMs) {
      if (endMs === undefined) return void ends.delete(id);
      ends.set(id, endMs);
      if (endMs >= nextMs) return;
      nextMs = endMs;
      arm();
    },
    close: () => clearTimeout(timer),
  };
}

/** When the first grant of a node ends that has not ended by then. */
export function nextEndOf(view: RegistryView, nodeId: string, asOfMs: number): number | undefined {
  let next: number | undefined;
  for (const service of view.servicesOfNode(nodeId)) {
    for (const { value } of view.grantsOf(service)) {
      const endMs = endOf(value);
      if (endMs !== undefined && endMs > asOfMs && (next === undefined || endMs < next)) next = endMs;
    }
  }
  return next;
}
