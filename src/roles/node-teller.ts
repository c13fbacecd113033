/** Role `control`: tells the other processes of the instance how far the nodes are that it has, or had, streams of. */
import { hostname } from 'node:os';
import { Failure } from '../core/failure.ts';
import { createPoller } from '../journal/poller.ts';
import { jittered, type RandomBytes } from '../journal/random.ts';
import type { Shared } from '../journal/shared.ts';
import { createSlices } from '../journal/slices.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Place } from '../xds/node-status.ts';
import type { NodeProgress } from '../xds/rollout.ts';
import { within } from './announce.ts';
import { toHead, toNodeText, toPages } from './node-pages.ts';

export interface NodeTellerDeps {
  /** how far this process is */
  readonly position: () => Place;
  readonly nodes: { seenNodes(): readonly string[]; nodeProgress(id: string): NodeProgress | undefined };
  readonly shared: Pick<Shared, 'put' | 'remove'>;
  /** monotonic ms */
  readonly monotonicMs?: () => number;
  readonly random: RandomBytes;
  readonly logger: Logger;
  /** between two looks, jittered; default 500 ms */
  readonly lookMs?: number;
}

export interface NodeTeller {
  /** of its own values: who knows these nodes better need not listen */
  readonly name: string;
  /** Takes back what was told. Never throws. */
  close(): Promise<void>;
}

export const NODES_PREFIX = 'nodes/';
const LOOK_MS = 500;
/** The head is what says that this process lives: again after this time, … */
const HEAD_BEAT_MS = 3_000;
/** … and without it the pages count no more. */
const HEAD_LIFE_MS = 10_000;
const PAGE_BEAT_MS = 20_000;
const PAGE_LIFE_MS = 60_000;
/** of one process; more than a thousand values in all nobody would see */
const MAX_PAGES = 300;
const SLICE_MS = 2;

interface Told {
  readonly value: string;
  readonly atMs: number;
}

export function startNodeTeller(deps: NodeTellerDeps): NodeTeller {
  const { position, nodes, shared, random, logger, lookMs = LOOK_MS } = deps;
  const monotonicMs = deps.monotonicMs ?? (() => performance.now());
  // not the process id alone: another process may have had it, and its pages may still be there
  const tail = Buffer.from(random(6)).toString('hex');
  const name = `${encodeURIComponent(hostname()).slice(0, 200)}:${process.pid}:${tail}`;
  const key = `${NODES_PREFIX}${name}`;
  const ended = new AbortController();
  const told = new Map<string, Told>();
  let trouble = false;
  let running = Promise.resolve();

  const put = async (at: string, value: string, beatMs: number, lifeMs: number): Promise<void> => {
    const before = told.get(at);
    const nowMs = monotonicMs();
    if (before?.value === value && nowMs - before.atMs < beatMs) return;
    await within(shared.put(at, value, lifeMs));
    told.set(at, { value, atMs: nowMs });
  };
  const takeBack = async (at: string): Promise<void> => {
    await within(shared.remove(at));
    told.delete(at);
  };

  const textsAt = async (at: Place): Promise<readonly string[]> => {
    const slices = createSlices(SLICE_MS);
    const texts: string[] = [];
    for (const id of [...nodes.seenNodes()].sort()) {
      const progress = nodes.nodeProgress(id);
      if (progress) texts.push(toNodeText(id, progress, at));
      await slices.next();
    }
    return texts.filter((each) => each !== '');
  };

  const tell = async (): Promise<void> => {
    // first: nodes that move on meanwhile are at least here
    const { epoch, seq } = position();
    const pages = toPages(await textsAt({ epoch, seq }), MAX_PAGES);
    const byKey = new Map(pages.map((page, index) => [`${key}/${index}`, page]));
    for (const [at, page] of byKey) await put(at, page, PAGE_BEAT_MS, PAGE_LIFE_MS);
    for (const at of told.keys()) if (at !== key && !byKey.has(at)) await takeBack(at);
    await put(key, toHead({ epoch, seq }), HEAD_BEAT_MS, HEAD_LIFE_MS);
  };
  const look = async (): Promise<void> => {
    try {
      await tell();
      trouble = false;
    } catch (error) {
      if (!trouble)
        logger.warn({ err: Failure.from(error) }, 'other processes cannot be told how far the nodes are');
      trouble = true;
    }
  };
  const next = (): Promise<void> => (running = look());
  createPoller({ look: next, nextMs: () => jittered(lookMs, random), signal: ended.signal }).hint();

  return {
    name,
    async close() {
      ended.abort();
      // or what is told last might come after it
      await running;
      try {
        await within(shared.remove(key));
        for (const at of told.keys()) await takeBack(at);
      } catch (error) {
        logger.warn({ err: Failure.from(error) }, 'what was told of the nodes could not be taken back');
      }
    },
  };
}
