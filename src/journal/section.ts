/** A room's part of a checkpoint: what its reducer has folded, as records. */
import { type Static, type TSchema, Type } from 'typebox';
import { isOfForm } from '../core/compiled-check.ts';
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { JsonObject } from '../core/json.ts';
import type { ChangedKey } from './changed-key.ts';

export interface Section {
  /** of the room; part of a checkpoint's form, never renamed */
  readonly name: string;
  /** of the form of the records; another one than this program's is not restored, the journal is read instead */
  readonly version: number;
  /**
   * The state as it stands, in an order that depends on the state alone, to be read once. Cheap (references, no
   * copies), since it runs on the thread that answers Checks; what is folded afterwards does not show in it.
   */
  capture(): Iterable<JsonObject>;
  /**
   * Replaces everything that was folded, in one synchronous step. What was captured is restored to what captures the
   * same again.
   *
   * @returns the keys of all that was there and of all that is there now
   * @throws Failure store_mismatch  when a record has another form; the state is then as before
   */
  restore(records: readonly JsonObject[]): ReadonlySet<ChangedKey>;
}

/** What a record says of the entry that made it so. */
export const placeMembers = {
  digest: Type.Unsafe<Digest>({ type: 'string', pattern: '^sha256:[0-9a-f]{64}$' }),
  seq: Type.Integer({ minimum: 1 }),
  at: Type.String(),
} as const;

/** @param schema  a constant, since it is compiled once. @throws Failure store_mismatch */
export function expectRecord<S extends TSchema>(schema: S, record: JsonObject, section: string): Static<S> {
  if (isOfForm(schema, record)) return record;
  throw new Failure('store_mismatch', `a record of section ${section} has another form`);
}
