/** A room's part of a checkpoint: what its reducer has folded, as records. */
import type { JsonObject } from '../core/json.ts';
import type { ChangedKey } from './fold.ts';

export interface Section {
  /** of the room; part of a checkpoint's form, never renamed */
  readonly name: string;
  /** of the form of the records; another one than this program's is not restored, the journal is read instead */
  readonly version: number;
  /**
   * The state as it stands, in an order that depends on the state alone. Cheap (references, no copies), since it runs
   * on the thread that answers Checks; the records are never changed afterwards.
   */
  capture(): readonly JsonObject[];
  /**
   * Replaces everything that was folded, in one synchronous step.
   *
   * @returns the keys of all that was there and of all that is there now
   * @throws Failure store_mismatch  when a record has another form; the state is then as before
   */
  restore(records: readonly JsonObject[]): ReadonlySet<ChangedKey>;
}
