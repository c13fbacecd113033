/**
 * What one sink still has to write, counted where Checks are answered: nothing beyond the bound leaves that thread, so
 * that no queue behind it needs a bound of its own. At rest `offered = written + dropped`; until then, what is between
 * stands in the queue.
 */
import type { DropReason, SinkName } from './sink.ts';

export interface QueueLimits {
  readonly events: number;
  readonly bytes: number;
}

export interface QueueCounts {
  readonly offered: number;
  readonly written: number;
  readonly dropped: ReadonlyMap<DropReason, number>;
  readonly events: number;
  readonly bytes: number;
  /** the most events that there ever were */
  readonly highest: number;
}

export class SinkQueue {
  readonly name: SinkName;
  readonly whenFull: 'drop' | 'block';
  readonly #limits: QueueLimits;
  readonly #dropped = new Map<DropReason, number>();
  #offered = 0;
  #written = 0;
  #events = 0;
  #bytes = 0;
  #highest = 0;
  /** of Checks that are in progress, each with a place in a queue that blocks */
  #reserved = 0;

  constructor(name: SinkName, whenFull: 'drop' | 'block', limits: QueueLimits) {
    this.name = name;
    this.whenFull = whenFull;
    this.#limits = limits;
  }

  /** Whether a Check may begin; for a sink that drops it always may. */
  hasRoom(): boolean {
    if (this.whenFull === 'drop') return true;
    return this.#events + this.#reserved < this.#limits.events && this.#bytes < this.#limits.bytes;
  }

  reserve(): void {
    if (this.whenFull === 'block') this.#reserved += 1;
  }

  /**
   * @param reserved  it was reserved when the Check began
   * @returns false  when the event is dropped, and counted
   */
  offer(bytes: number, reserved: boolean): boolean {
    this.#offered += 1;
    if (this.whenFull === 'block') {
      if (!reserved) return this.#drop('overloaded');
      this.#reserved -= 1;
    } else if (this.#events >= this.#limits.events || this.#bytes + bytes > this.#limits.bytes) {
      return this.#drop('queue_full');
    }
    this.#events += 1;
    this.#bytes += bytes;
    this.#highest = Math.max(this.#highest, this.#events);
    return true;
  }

  settle(events: number, bytes: number, dropped?: DropReason): void {
    this.#events -= events;
    this.#bytes -= bytes;
    if (dropped === undefined) this.#written += events;
    else this.#dropped.set(dropped, (this.#dropped.get(dropped) ?? 0) + events);
  }

  /** What was on its way has gone with the worker. */
  loseAll(reason: DropReason): void {
    this.settle(this.#events, this.#bytes, reason);
  }

  counts(): QueueCounts {
    return {
      offered: this.#offered,
      written: this.#written,
      dropped: this.#dropped,
      events: this.#events,
      bytes: this.#bytes,
      highest: this.#highest,
    };
  }

  #drop(reason: DropReason): false {
    this.#dropped.set(reason, (this.#dropped.get(reason) ?? 0) + 1);
    return false;
  }
}
