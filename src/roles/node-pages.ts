/**
 * What a control process tells of its nodes, as values of shared state: one head, and pages of several nodes each.
 *
 * The head says how far the process is, a page says of most nodes only that they are there too: so an entry that
 * concerns no node changes one value. Pages are written before the head, and `true` is never more than the head says.
 */
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { MAX_SHARED_VALUE_BYTES } from '../journal/shared.ts';
import type { Place } from '../xds/node-status.ts';
import { RESOURCE_TYPES } from '../xds/resource-types.ts';
import type { NodeProgress } from '../xds/rollout.ts';

/** In characters, of what a node or a build says: as many as there is room for. */
const TEXT_LENGTHS = [240, 60];
/** of a refusal */
const MAX_NAMES = 2;

/** `true`: where the head is */
const seqSchema = Type.Union([Type.Literal(true), Type.Integer({ minimum: 0 })]);
const text = () => Type.String({ maxLength: 1_024 });

const nodeSchema = Type.Object({
  id: text(),
  connected: Type.Boolean(),
  applied: Type.Optional(seqSchema),
  offered: Type.Optional(seqSchema),
  refusal: Type.Optional(
    Type.Object({
      type: Type.Enum([...RESOURCE_TYPES]),
      version: text(),
      names: Type.Array(text(), { maxItems: MAX_NAMES }),
      reason: text(),
      at: text(),
    }),
  ),
  trouble: Type.Optional(text()),
  halt: Type.Optional(Type.Object({ node: text(), reason: text() })),
  leftAtMs: Type.Optional(Type.Integer({ minimum: 0 })),
});
const pageSchema = Type.Array(nodeSchema);
const headSchema = Type.Object({
  epoch: Type.Integer({ minimum: 0 }),
  seq: Type.Integer({ minimum: 0 }),
});

/** A node as a page tells it: what it has or is offered may be "as far as the head". */
export interface ToldNode {
  readonly id: string;
  readonly progressAt: (head: Place) => NodeProgress;
}

export function toHead({ epoch, seq }: Place): string {
  return JSON.stringify({ epoch, seq });
}

/** @param at  where the process was before `progress` was asked for. @returns JSON, shorter than a value may be */
export function toNodeText(id: string, progress: NodeProgress, at: Place): string {
  const { connected, applied, offered, refusal, trouble, halt, leftAtMs } = progress;
  const seqOf = (place: Place | undefined) => place && (place.seq >= at.seq ? true : place.seq);
  const texts = TEXT_LENGTHS.map((length) => {
    const cut = (value: string): string => value.slice(0, length).toWellFormed();
    const names = refusal?.names.slice(0, MAX_NAMES).map((name) => name.slice(0, 60));
    return JSON.stringify({
      id,
      connected,
      applied: seqOf(applied),
      offered: seqOf(offered),
      refusal: refusal && { ...refusal, names, reason: cut(refusal.reason) },
      trouble: trouble === undefined ? undefined : cut(trouble),
      halt: halt && { ...halt, reason: cut(halt.reason) },
      leftAtMs,
    });
  });
  return texts.find((each) => Buffer.byteLength(each) + 2 <= MAX_SHARED_VALUE_BYTES) ?? '';
}

/** Fills one value after the other, in the order given. @param maxPages  what does not fit in is left out */
export function toPages(nodes: readonly string[], maxPages: number): readonly string[] {
  const pages: string[] = [];
  let page = '';
  for (const node of nodes) {
    const longer = page === '' ? node : `${page},${node}`;
    if (Buffer.byteLength(longer) + 2 <= MAX_SHARED_VALUE_BYTES) {
      page = longer;
      continue;
    }
    pages.push(`[${page}]`);
    page = node;
  }
  if (page !== '') pages.push(`[${page}]`);
  return pages.slice(0, maxPages);
}

/** @returns undefined for what no version of ours tells */
export function parseHead(value: string): Place | undefined {
  const head = parseJson(value);
  return Value.Check(headSchema, head) ? head : undefined;
}

/** @returns [] for what no version of ours tells */
export function parsePage(value: string): readonly ToldNode[] {
  const page = parseJson(value);
  if (!Value.Check(pageSchema, page)) return [];
  return page.map(({ id, applied, offered, ...told }) => ({
    id,
    progressAt: (head) => {
      const place = (seq: number | true): Place => ({
        epoch: head.epoch,
        seq: seq === true ? head.seq : Math.min(seq, head.seq),
      });
      return {
        ...told,
        ...(applied !== undefined && { applied: place(applied) }),
        ...(offered !== undefined && { offered: place(offered) }),
      };
    },
  }));
}

function parseJson(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}
