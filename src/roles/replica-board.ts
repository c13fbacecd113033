/** How far the processes of an instance are, as they tell each other: so that a roll-out can name them all. */
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import type { ReplicaProgress } from '../admin/rollout-schema.ts';
import { ROLES } from '../config/schema.ts';
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import { createPoller } from '../journal/poller.ts';
import { jittered, type RandomBytes } from '../journal/random.ts';
import { MAX_SHARED_VALUE_BYTES, type Shared } from '../journal/shared.ts';
import type { Logger } from '../telemetry/logger.ts';
import { within } from './announce.ts';

export interface ReplicaBoardDeps {
  /** this process as it is now; one id, one entry per role */
  readonly own: () => readonly ReplicaProgress[];
  readonly shared: Pick<Shared, 'put' | 'list' | 'remove'>;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly logger: Logger;
  /** between two looks, jittered; default 500 ms */
  readonly lookMs?: number;
}

export interface ReplicaBoard {
  /** This process now, and the others as they were a moment ago; those that say nothing any more go after some seconds. */
  all(): readonly ReplicaProgress[];
  start(): void;
  /** Takes back what was told. Never throws. */
  close(): Promise<void>;
}

const PREFIX = 'replica/';
const LOOK_MS = 500;
/** What has not changed is said again, … */
const BEAT_MS = 3_000;
/** … and what is not said again is forgotten. */
const LIFE_MS = 10_000;
/** Characters of an error: as many as there is room for. */
const ERROR_LENGTHS = [200, 60];

const saidSchema = Type.Object({
  id: Type.String({ minLength: 1, maxLength: 256 }),
  roles: Type.Array(
    Type.Object({
      role: Type.Enum([...ROLES]),
      seq: Type.Integer({ minimum: 0 }),
      error: Type.Optional(Type.String()),
    }),
    { maxItems: ROLES.length },
  ),
});

export function createReplicaBoard(deps: ReplicaBoardDeps): ReplicaBoard {
  const { own, shared, clock, random, logger, lookMs = LOOK_MS } = deps;
  const ended = new AbortController();
  const id = own()[0]?.id ?? '';
  const key = `${PREFIX}${encodeURIComponent(id).slice(0, 200)}`;
  let others: readonly ReplicaProgress[] = [];
  let said = { value: '', atMs: 0 };
  let trouble = false;
  let running = Promise.resolve();

  const say = async (): Promise<void> => {
    const value = toText(id, own());
    const nowMs = clock.nowMs();
    if (value === said.value && nowMs - said.atMs < BEAT_MS) return;
    await within(shared.put(key, value, LIFE_MS));
    said = { value, atMs: nowMs };
  };
  const look = async (): Promise<void> => {
    try {
      await say();
      const all = await within(shared.list(PREFIX));
      others = all.filter((each) => each.key !== key).flatMap(({ value }) => parse(value));
      trouble = false;
    } catch (error) {
      // what was known last stays: a roll-out should not seem to be done since nobody can be heard
      if (!trouble)
        logger.warn({ err: Failure.from(error) }, 'the other replicas are not known; the last stay');
      trouble = true;
    }
  };

  return {
    all: () => [...own(), ...others],
    start() {
      const next = (): Promise<void> => (running = look());
      createPoller({ look: next, nextMs: () => jittered(lookMs, random), signal: ended.signal }).hint();
    },
    async close() {
      ended.abort();
      // or what is said last might come after it
      await running;
      await within(shared.remove(key)).catch((error: unknown) => {
        logger.warn({ err: Failure.from(error) }, 'this replica could not take back how far it is');
      });
    },
  };
}

function toText(id: string, progress: readonly ReplicaProgress[]): string {
  const texts = ERROR_LENGTHS.map((length) =>
    JSON.stringify({
      id,
      roles: progress.map(({ role, seq, error }) => ({
        role,
        seq,
        ...(error !== undefined && { error: error.slice(0, length).toWellFormed() }),
      })),
    }),
  );
  return texts.find((text) => Buffer.byteLength(text) <= MAX_SHARED_VALUE_BYTES) ?? texts.at(-1) ?? '';
}

/** @returns [] for what no version of ours says */
function parse(text: string): readonly ReplicaProgress[] {
  try {
    const value: unknown = JSON.parse(text);
    if (!Value.Check(saidSchema, value)) return [];
    return value.roles.map(({ role, seq, error }) => ({
      id: value.id,
      role,
      seq,
      ...(error !== undefined && { error }),
    }));
  } catch {
    return [];
  }
}
