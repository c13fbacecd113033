import { type Static, type TSchema, type TUnsafe, Type } from 'typebox';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;

export const limitSchema = Type.Optional(
  Type.Integer({ minimum: 1, maximum: MAX_LIMIT, description: `at most so many; default ${DEFAULT_LIMIT}` }),
);

/** A list by name: `after` is the `next` of the page before. */
export const pageQuerySchema = Type.Object(
  {
    after: Type.Optional(Type.String({ maxLength: 253, description: '`next` of the page before' })),
    limit: limitSchema,
  },
  { additionalProperties: false },
);

interface Page<T> {
  readonly items: T[];
  readonly next?: string;
}

/** The form of a page of such items. */
export function pageSchema<T extends TSchema>(item: T): TUnsafe<Page<Static<T>>> {
  const next = Type.Optional(
    Type.String({ description: 'where the next page begins; none: this is the last' }),
  );
  return Type.Unsafe<Page<Static<T>>>(
    Type.Object({ items: Type.Array(item), next }, { additionalProperties: false }),
  );
}

/** @returns the page of `objects` in order of their names, after `after` */
export function pageOf<T extends { readonly name: string }, I>(
  objects: readonly T[],
  query: { readonly after?: string; readonly limit?: number },
  toItem: (object: T) => I,
): Page<I> {
  const { after = '' } = query;
  const limit = limitOf(query);
  const later = objects.filter(({ name }) => name > after).sort((a, b) => (a.name < b.name ? -1 : 1));
  const page = later.slice(0, limit);
  const last = page.at(-1);
  const items = page.map(toItem);
  return later.length > limit && last !== undefined ? { items, next: last.name } : { items };
}

export function limitOf(query: { readonly limit?: number }): number {
  return query.limit ?? DEFAULT_LIMIT;
}

/** A list of what happened, latest first: `before` is the `next` of the page before. */
export const historyQuerySchema = Type.Object(
  {
    before: Type.Optional(Type.Integer({ minimum: 1, description: '`next` of the page before' })),
    limit: limitSchema,
  },
  { additionalProperties: false },
);

interface History<T> {
  readonly items: T[];
  readonly next?: number;
}

export function historySchema<T extends TSchema>(item: T): TUnsafe<History<Static<T>>> {
  const items = Type.Array(item, { description: 'latest first' });
  const next = Type.Optional(
    Type.Integer({ description: 'where the next page begins; none: this is the last' }),
  );
  return Type.Unsafe<History<Static<T>>>(Type.Object({ items, next }, { additionalProperties: false }));
}

/** @param records  in order of `seq` */
export function historyOf<T extends { readonly seq: number }, I>(
  records: readonly T[],
  query: { readonly before?: number; readonly limit?: number },
  toItem: (record: T) => I,
): History<I> {
  const { before = Number.POSITIVE_INFINITY } = query;
  const limit = limitOf(query);
  const earlier = records.filter(({ seq }) => seq < before);
  const page = earlier.slice(-limit).reverse();
  const last = page.at(-1);
  const items = page.map(toItem);
  return earlier.length > limit && last !== undefined ? { items, next: last.seq } : { items };
}
