/** The issuers, folded from the journal. */
import { Type } from 'typebox';
import { isOfForm } from '../core/compiled-check.ts';
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { ChangedKey, FoldedEntry, Reducer } from '../journal/fold.ts';
import { expectRecord, placeMembers, type Section } from '../journal/section.ts';
import { type Issuer, issuerSchema } from './model.ts';

/**
 * One issuer. A change makes a new record, so that what was derived from the old one is left behind with it. A type,
 * since an interface is no JsonObject.
 */
export type IssuerRecord = {
  readonly name: string;
  readonly value: Issuer;
  /** of the entry that put it */
  readonly digest: Digest;
  readonly seq: number;
  /** RFC 3339 */
  readonly at: string;
};

export interface IssuersView {
  get(name: string): IssuerRecord | undefined;
  /** in order of name */
  list(): readonly IssuerRecord[];
  /** The issuer with this `iss`; undefined when there is none, or more than one (then nobody can say which rules hold). */
  byIssuer(iss: string): IssuerRecord | undefined;
}

export interface Issuers {
  readonly reducer: Reducer;
  readonly view: IssuersView;
}

const putSchema = Type.Object({ name: Type.String(), issuer: issuerSchema });
const deleteSchema = Type.Object({ name: Type.String() });
const recordSchema = Type.Object({ name: Type.String(), value: issuerSchema, ...placeMembers });

export function createIssuers(): Issuers {
  let records = new Map<string, IssuerRecord>();
  const byIssuer = new Map<string, IssuerRecord | 'several'>();

  const index = (): void => {
    byIssuer.clear();
    for (const record of records.values()) {
      const { issuer } = record.value;
      byIssuer.set(issuer, byIssuer.has(issuer) ? 'several' : record);
    }
  };

  const section: Section = {
    name: 'issuers',
    version: 1,
    capture: () => [...records.values()],
    restore(captured) {
      const restored = captured.map((one) => expectRecord(recordSchema, one, 'issuers'));
      const changed = new Set([...records.keys(), ...restored.map(({ name }) => name)]);
      records = new Map(restored.map((record) => [record.name, record]));
      index();
      return new Set([...changed].map(keyOf));
    },
  };

  return {
    reducer: {
      section,
      kinds: ['issuer.put', 'issuer.delete'],
      apply(entry) {
        const changed = entry.kind === 'issuer.put' ? put(entry, records) : remove(entry, records);
        index();
        return changed;
      },
    },
    view: {
      get: (name) => records.get(name),
      list: () => [...records.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
      byIssuer(iss) {
        const found = byIssuer.get(iss);
        return found === 'several' ? undefined : found;
      },
    },
  };
}

function put(entry: FoldedEntry, records: Map<string, IssuerRecord>): readonly ChangedKey[] {
  const { body, digest, seq, at } = entry;
  if (!isOfForm(putSchema, body)) throw new Failure('internal', `entry ${seq}: the body is no issuer`);
  // to the end: the order is that of the entries
  records.delete(body.name);
  records.set(body.name, { name: body.name, value: body.issuer, digest, seq, at });
  return [keyOf(body.name)];
}

function remove(entry: FoldedEntry, records: Map<string, IssuerRecord>): readonly ChangedKey[] {
  const { body, seq } = entry;
  if (!isOfForm(deleteSchema, body)) throw new Failure('internal', `entry ${seq}: the body names no issuer`);
  records.delete(body.name);
  return [keyOf(body.name)];
}

function keyOf(name: string): ChangedKey {
  return `issuer/${name}`;
}
