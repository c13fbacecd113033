import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCursors, type ListName } from '../../../src/admin/cursor.ts';
import { historyOf, pageOf } from '../../../src/admin/paging.ts';
import { Failure } from '../../../src/core/failure.ts';

const key = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const cursors = createCursors(key(1));
const services: ListName = ['listServices', {}];

function refusalOf(open: () => unknown): Failure {
  try {
    open();
  } catch (thrown) {
    if (thrown instanceof Failure) return thrown;
  }
  throw new Error('nothing was refused');
}

describe('a cursor', () => {
  it('opens to what was sealed, in every process that has the key', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (position) => {
        const cursor = cursors.seal(services, position);
        expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(createCursors(key(1)).open(services, cursor)).toBe(position);
      }),
    );
  });

  it('is refused with a pointer: of another key, another list, another filter', () => {
    const cursor = createCursors(key(1)).seal(['listGrants', { service: 'orders' }], 'web');
    const others: readonly (readonly [Uint8Array, ListName])[] = [
      [key(2), ['listGrants', { service: 'orders' }]],
      [key(1), ['listNodes', { service: 'orders' }]],
      [key(1), ['listGrants', { service: 'stock' }]],
      [key(1), ['listGrants', {}]],
    ];
    for (const [sealKey, list] of others) {
      const refusal = refusalOf(() => createCursors(sealKey).open(list, cursor));
      expect(refusal.code).toBe('request_malformed');
      expect(refusal.issues[0]).toMatchObject({ pointer: '/cursor', code: 'cursor_invalid' });
    }
  });

  it('is refused when one character of it was changed, left out or added', () => {
    const cursor = cursors.seal(services, 'orders');
    const damaged = cursor
      .split('')
      .flatMap((character, at) => [
        cursor.slice(0, at) + (character === 'A' ? 'B' : 'A') + cursor.slice(at + 1),
        cursor.slice(0, at) + cursor.slice(at + 1),
        `${cursor.slice(0, at)}=${cursor.slice(at)}`,
      ]);
    for (const text of [...damaged, '', 'orders', `${cursor}A`, `${cursor}=`]) {
      expect(refusalOf(() => cursors.open(services, text)).code).toBe('request_malformed');
    }
  });

  it('says nothing of the position that it holds', () => {
    const cursor = cursors.seal(services, 'a-name-that-is-long-enough');
    expect(Buffer.from(cursor, 'base64url').toString('latin1')).not.toContain('a-name');
  });
});

const call = (query: object) => ({ operation: 'listServices', params: undefined, query });
const changes = fc.array(fc.record({ name: fc.integer({ min: 0, max: 40 }), add: fc.boolean() }), {
  maxLength: 12,
});

describe('a list that changes between its pages', () => {
  it('tells nothing twice, and leaves out nothing that was there all the time', () => {
    const nameOf = (n: number): string => `n${String(n).padStart(2, '0')}`;
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 0, max: 40 })),
        fc.integer({ min: 1, max: 7 }),
        fc.array(changes, { minLength: 41, maxLength: 41 }),
        (start, limit, steps) => {
          const present = new Set(start.map(nameOf));
          const stayed = new Set(present);
          const seen: string[] = [];
          let cursor: string | undefined;
          for (const step of steps) {
            const objects = [...present].map((name) => ({ name }));
            const { body } = pageOf(call({ limit, cursor }), cursors, objects, ({ name }) => name);
            seen.push(...body.items);
            cursor = body.next;
            if (cursor === undefined) break;
            for (const { name, add } of step) {
              if (add) present.add(nameOf(name));
              else stayed.delete(nameOf(name));
              if (!add) present.delete(nameOf(name));
            }
          }
          expect(cursor).toBeUndefined();
          expect(seen).toEqual([...new Set(seen)].sort());
          expect([...stayed].filter((name) => !seen.includes(name))).toEqual([]);
        },
      ),
    );
  });

  it('of what happened tells each record that was there at the first page once, latest first', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 30 }),
        fc.integer({ min: 1, max: 7 }),
        fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 40, maxLength: 40 }),
        (count, limit, arrivals) => {
          const records = Array.from({ length: count }, (_, index) => ({ seq: 2 * index + 1 }));
          const atFirst = records.map(({ seq }) => seq).reverse();
          const seen: number[] = [];
          let cursor: string | undefined;
          for (const arriving of arrivals) {
            const { body } = historyOf(call({ limit, cursor }), cursors, records, ({ seq }) => seq);
            seen.push(...body.items);
            cursor = body.next;
            if (cursor === undefined) break;
            for (let n = 0; n < arriving; n += 1) records.push({ seq: (records.at(-1)?.seq ?? 0) + 1 });
          }
          expect(seen).toEqual(atFirst);
        },
      ),
    );
  });
});
