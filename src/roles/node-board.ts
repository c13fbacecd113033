/** Role `admin`: how far the nodes are, in this process and in all others that tell of them. */
import { Failure } from '../core/failure.ts';
import { createPoller } from '../journal/poller.ts';
import { jittered, type RandomBytes } from '../journal/random.ts';
import type { Shared, SharedValue } from '../journal/shared.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Place } from '../xds/node-status.ts';
import { joinProgress, type NodeProgress } from '../xds/rollout.ts';
import { within } from './announce.ts';
import { parseHead, parsePage, type ToldNode } from './node-pages.ts';
import { NODES_PREFIX } from './node-teller.ts';

export interface NodeBoardDeps {
  /** how far this process is: what others tell of another epoch says nothing of this one */
  readonly position: () => Place;
  readonly shared: Pick<Shared, 'list'>;
  /** who is not listened to: this process itself */
  readonly except?: string | undefined;
  readonly random: RandomBytes;
  readonly logger: Logger;
  /** between two looks, jittered; default 500 ms */
  readonly lookMs?: number;
}

export interface NodeBoard {
  /**
   * @param own  what this process knows, which counts as one more
   * @returns undefined: no control process is heard
   */
  progressOf(id: string, own: NodeProgress | undefined): NodeProgress | undefined;
  close(): void;
}

const LOOK_MS = 500;
const NEVER_SEEN: NodeProgress = { connected: false };

interface Teller {
  head: Place | undefined;
  readonly nodes: Map<string, ToldNode>;
}

export function startNodeBoard(deps: NodeBoardDeps): NodeBoard {
  const { position, shared, except, random, logger, lookMs = LOOK_MS } = deps;
  const ended = new AbortController();
  /** of what is told again and again only the change is read */
  let pages = new Map<string, ReadPage>();
  let tellers: readonly Teller[] = [];
  let trouble = false;

  const read = (values: readonly SharedValue[]): readonly Teller[] => {
    const byName = new Map<string, Teller>();
    const seen = new Map<string, ReadPage>();
    for (const { key, value } of values) {
      const [name = '', page] = key.slice(NODES_PREFIX.length).split('/');
      if (name === except) continue;
      const teller = byName.get(name) ?? { head: undefined, nodes: new Map() };
      byName.set(name, teller);
      if (page === undefined) {
        teller.head = parseHead(value);
        continue;
      }
      const known = pages.get(key);
      const current = known?.value === value ? known : { value, nodes: parsePage(value) };
      seen.set(key, current);
      for (const node of current.nodes) teller.nodes.set(node.id, node);
    }
    pages = seen;
    return [...byName.values()];
  };
  const look = async (): Promise<void> => {
    try {
      tellers = read(await within(shared.list(NODES_PREFIX)));
      trouble = false;
    } catch (error) {
      // what was known last stays: a roll-out should not seem to be anything else since nobody can be heard
      if (!trouble)
        logger.warn(
          { err: Failure.from(error) },
          'the nodes of other processes are not known; the last stay',
        );
      trouble = true;
    }
  };
  createPoller({ look, nextMs: () => jittered(lookMs, random), signal: ended.signal }).hint();

  return {
    progressOf(id, own) {
      const { epoch } = position();
      const told = tellers.flatMap(({ head, nodes }) => {
        // without a head it has gone
        if (head === undefined) return [];
        const { applied, offered, ...rest } = nodes.get(id)?.progressAt(head) ?? NEVER_SEEN;
        return head.epoch === epoch
          ? { ...rest, ...(applied && { applied }), ...(offered && { offered }) }
          : rest;
      });
      return joinProgress(own === undefined ? told : [own, ...told]);
    },
    close: () => ended.abort(),
  };
}

interface ReadPage {
  readonly value: string;
  readonly nodes: readonly ToldNode[];
}
