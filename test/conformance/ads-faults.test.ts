/**
 * What the stories are worth: each fault, seeded alone into the server, turns at least one of them red, and without
 * one they are green.
 */
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { STORIES } from './ads-stories/all.ts';
import { FAULTS, type Fault } from './ads-stories/faults.ts';
import { StoryBroken, tell } from './ads-stories/tell.ts';

const seed: { fault: Fault | undefined } = vi.hoisted(() => ({ fault: undefined }));

vi.mock('../../src/xds/subscription.ts', async (importOriginal) => {
  const original = await importOriginal<typeof import('../../src/xds/subscription.ts')>();
  const { advanceSubscription, isSettled, isRefused } = original;
  return {
    ...original,
    advanceSubscription: ((state, event) =>
      seed.fault?.advance?.(advanceSubscription, state, event) ??
      advanceSubscription(state, event)) satisfies typeof advanceSubscription,
    isSettled: ((state) => seed.fault?.isSettled?.() ?? isSettled(state)) satisfies typeof isSettled,
    isRefused: ((state) => seed.fault?.isRefused?.() ?? isRefused(state)) satisfies typeof isRefused,
  };
});

vi.mock('../../src/xds/push-plan.ts', async (importOriginal) => {
  const original = await importOriginal<typeof import('../../src/xds/push-plan.ts')>();
  const shownBy: typeof original.shownBy = (plan, type) => {
    const shown = original.shownBy(plan, type);
    return seed.fault?.shownBy ? seed.fault.shownBy(shown, plan, type) : shown;
  };
  return { ...original, shownBy };
});

vi.mock('../../src/xds/delta-variant.ts', async (importOriginal) => {
  const { deltaVariant } = await importOriginal<typeof import('../../src/xds/delta-variant.ts')>();
  return { deltaVariant: faultyVariant(deltaVariant) };
});

vi.mock('../../src/xds/sotw-variant.ts', async (importOriginal) => {
  const { sotwVariant } = await importOriginal<typeof import('../../src/xds/sotw-variant.ts')>();
  return { sotwVariant: faultyVariant(sotwVariant) };
});

vi.mock('../../src/xds/refusals.ts', async (importOriginal) => {
  const original = await importOriginal<typeof import('../../src/xds/refusals.ts')>();
  const createRefusals = () => {
    const refusals = original.createRefusals();
    return seed.fault?.refusals?.(refusals) ?? refusals;
  };
  return { ...original, createRefusals };
});

vi.mock('../../src/xds/snapshots.ts', async (importOriginal) => {
  const original = await importOriginal<typeof import('../../src/xds/snapshots.ts')>();
  const createSnapshots: typeof original.createSnapshots = (deps) => {
    const snapshots = original.createSnapshots(deps);
    return seed.fault?.snapshots?.(snapshots) ?? snapshots;
  };
  return { ...original, createSnapshots };
});

vi.mock('../../src/xds/ads-stream.ts', async (importOriginal) => {
  const original = await importOriginal<typeof import('../../src/xds/ads-stream.ts')>();
  const createAdsStream: typeof original.createAdsStream = (options) =>
    original.createAdsStream(seed.fault?.stream?.(options) ?? options);
  return { ...original, createAdsStream };
});

vi.mock('../../src/grpc/messages.ts', async (importOriginal) => {
  const original = await importOriginal<typeof import('../../src/grpc/messages.ts')>();
  const loadEnvoyMessages: typeof original.loadEnvoyMessages = (...where) => {
    const messages = original.loadEnvoyMessages(...where);
    const decoded = <R extends { readonly nodeId: string }>(request: R): R =>
      seed.fault?.decode?.(request) ?? request;
    const encoded = <R extends { readonly controlPlane?: string }>(response: R): R =>
      seed.fault?.encode?.(response) ?? response;
    return {
      ...messages,
      decodeDeltaRequest: (bytes) => decoded(messages.decodeDeltaRequest(bytes)),
      decodeSotwRequest: (bytes) => decoded(messages.decodeSotwRequest(bytes)),
      encodeDeltaResponse: (response) => messages.encodeDeltaResponse(encoded(response)),
      encodeSotwResponse: (response) => messages.encodeSotwResponse(encoded(response)),
    };
  };
  return { ...original, loadEnvoyMessages };
});

function faultyVariant<V extends import('../../src/xds/ads-variant.ts').AdsVariant<never>>(variant: V): V {
  const { rulesOf, isFullState } = variant;
  return {
    ...variant,
    rulesOf: (type) => seed.fault?.rulesOf?.(rulesOf(type)) ?? rulesOf(type),
    isFullState: (type) => seed.fault?.isFullState?.() ?? isFullState(type),
  };
}

/** The probe proves silence however long it takes: a slow machine makes no story red. */
const WAITS = { patienceMs: 100, timerMs: 3_000 };
const AT_ONCE = 8;

/** @returns what went otherwise than the stories say */
async function redStories(fault: Fault | undefined, rules: Fault['rules']): Promise<readonly string[]> {
  seed.fault = fault;
  const red: string[] = [];
  const left = STORIES.filter(({ rule }) => rules.includes(rule));
  const tellNext = async (): Promise<void> => {
    for (let story = left.shift(); story !== undefined; story = left.shift()) {
      try {
        await tell(story, WAITS);
      } catch (error) {
        if (!(error instanceof StoryBroken)) throw error;
        red.push(error.message);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, tellNext));
  return red;
}

const found = new Map<string, number>();

describe('a server', () => {
  afterEach(() => {
    seed.fault = undefined;
  });

  it('can make at least twelve mistakes, one at a time', () => {
    expect(new Set(FAULTS.map(({ name }) => name)).size).toBeGreaterThanOrEqual(12);
  });

  it('without any keeps to every story', { timeout: 120_000 }, async () => {
    expect(await redStories(undefined, [...new Set(FAULTS.flatMap(({ rules }) => rules))])).toEqual([]);
  });

  for (const fault of FAULTS) {
    it(`that ${fault.name} turns a story red`, { timeout: 120_000 }, async () => {
      const red = await redStories(fault, fault.rules);
      found.set(fault.name, red.length);
      expect(red.length).toBeGreaterThan(0);
    });
  }
});

afterAll(() => {
  const rows = [...found].map(([name, red]) => `${String(red).padStart(5)}  ${name}`);
  process.stdout.write(`\nStories that a seeded fault turns red:\n${rows.join('\n')}\n`);
});
