/** The issuers, folded from the journal. */
import { Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { ChangedKey, FoldedEntry, Reducer } from '../journal/fold.ts';
import { type Issuer, issuerSchema } from './model.ts';

/** One issuer. A change makes a new record, so that what was derived from the old one is left behind with it. */
export interface IssuerRecord {
  readonly name: string;
  readonly value: Issuer;
  /** of the entry that put it */
  readonly digest: Digest;
  readonly seq: number;
  /** RFC 3339 */
  readonly at: string;
}

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

export function createIssuers(): Issuers {
  const records = new Map<string, IssuerRecord>();
  const byIssuer = new Map<string, IssuerRecord | 'several'>();

  const index = (): void => {
    byIssuer.clear();
    for (const record of records.values()) {
      const { issuer } = record.value;
      byIssuer.set(issuer, byIssuer.has(issuer) ? 'several' : record);
    }
  };

  return {
    reducer: {
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
  if (!Check(putSchema, body)) throw new Failure('internal', `entry ${seq}: the body is no issuer`);
  records.set(body.name, { name: body.name, value: body.issuer, digest, seq, at });
  return [`issuer/${body.name}`];
}

function remove(entry: FoldedEntry, records: Map<string, IssuerRecord>): readonly ChangedKey[] {
  const { body, seq } = entry;
  if (!Check(deleteSchema, body)) throw new Failure('internal', `entry ${seq}: the body names no issuer`);
  records.delete(body.name);
  return [`issuer/${body.name}`];
}
