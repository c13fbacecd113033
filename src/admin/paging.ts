/**
 * Lists in pages. A page ends at a key, not at a number of items, so a list may change between two pages: nothing
 * comes twice, and what stood there all the time is not left out.
 */
import { type Static, type TSchema, type TUnsafe, Type } from 'typebox';
import type { Cursors, ListName } from './cursor.ts';
import type { Answer, Call } from './endpoint.ts';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;

export const pageQuerySchema = Type.Object(
  {
    cursor: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9_-]{1,1024}$',
        description: '`next` of the page before, with the same other parameters',
      }),
    ),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_LIMIT,
        description: `at most so many; default ${DEFAULT_LIMIT}`,
      }),
    ),
  },
  { additionalProperties: false },
);
type PageQuery = Static<typeof pageQuerySchema>;

export const nextSchema = Type.Optional(
  Type.String({ description: '`cursor` of the next page, as in Link; none: this is the last' }),
);

interface Page<T> {
  readonly items: T[];
  readonly next?: string;
}

/** The form of a page of such items. */
export function pageSchema<T extends TSchema>(item: T): TUnsafe<Page<Static<T>>> {
  return Type.Unsafe<Page<Static<T>>>(
    Type.Object({ items: Type.Array(item), next: nextSchema }, { additionalProperties: false }),
  );
}

type ListCall = Pick<Call<unknown, PageQuery, unknown>, 'operation' | 'params' | 'query'>;

/** @returns the page of `objects` in order of their names */
export function pageOf<T extends { readonly name: string }, I>(
  call: ListCall,
  cursors: Cursors,
  objects: readonly T[],
  toItem: (object: T) => I,
): Answer<Page<I>> {
  const after = positionOf(call, cursors) ?? '';
  const later = objects.filter(({ name }) => name > after).sort((a, b) => (a.name < b.name ? -1 : 1));
  const page = later.slice(0, limitOf(call.query));
  return toAnswer(
    call,
    cursors,
    page.map(toItem),
    page.length < later.length ? page.at(-1)?.name : undefined,
  );
}

/**
 * @param records  what happened, in order of `seq`
 * @returns the page of them, latest first
 */
export function historyOf<T extends { readonly seq: number }, I>(
  call: ListCall,
  cursors: Cursors,
  records: readonly T[],
  toItem: (record: T) => I,
): Answer<Page<I>> {
  const before = Number(positionOf(call, cursors) ?? Number.POSITIVE_INFINITY);
  const earlier = records.filter(({ seq }) => seq < before);
  const page = earlier.slice(-limitOf(call.query)).reverse();
  const last = page.length < earlier.length ? page.at(-1)?.seq : undefined;
  return toAnswer(call, cursors, page.map(toItem), last === undefined ? undefined : String(last));
}

export function limitOf({ limit = DEFAULT_LIMIT }: PageQuery): number {
  return limit;
}

/** @returns where the page before ended; undefined: this is the first */
export function positionOf(call: ListCall, cursors: Cursors): string | undefined {
  const { cursor } = call.query;
  return cursor === undefined ? undefined : cursors.open(listOf(call), cursor);
}

/** @param position  where a page ends after which there is another */
export function nextOf(call: ListCall, cursors: Cursors, position: string | undefined): string | undefined {
  return position === undefined ? undefined : cursors.seal(listOf(call), position);
}

function toAnswer<I>(
  call: ListCall,
  cursors: Cursors,
  items: I[],
  position: string | undefined,
): Answer<Page<I>> {
  const next = nextOf(call, cursors, position);
  return next === undefined ? { body: { items } } : { body: { items, next }, next };
}

/** The limit may change from page to page, and nothing else. */
function listOf({ operation, params, query }: ListCall): ListName {
  const { cursor: _cursor, limit: _limit, ...filter } = query;
  return [operation, { ...(params as object | undefined), ...filter }];
}
