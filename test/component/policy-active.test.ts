import { afterAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import type { Digest } from '../../src/core/digest.ts';
import { Failure } from '../../src/core/failure.ts';
import type { FoldedEntry } from '../../src/journal/fold.ts';
import type { Blobs } from '../../src/journal/journal.ts';
import { createMemoryBlobs } from '../../src/journal/memory-journal.ts';
import { createActivePolicies } from '../../src/policy/active.ts';
import { createPolicyAdministration } from '../../src/policy/administration.ts';
import type { RevisionBody } from '../../src/policy/bodies.ts';
import { createEvaluationPool } from '../../src/policy/evaluation-pool.ts';
import { createPolicyState } from '../../src/policy/state.ts';
import { createToolchain } from '../../src/rego/toolchain.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { POLICY_LIMITS } from '../support/metered-evaluator.ts';
import { NATIVE_BUILTINS } from '../support/native-builtins.ts';
import { anEntry } from '../unit/policy/policy-entries.ts';

const toolchain = createToolchain({ callTimeoutMs: 30_000, maxQueued: 16, maxMemoryMiB: 512 });
const pool = createEvaluationPool({ options: POLICY_LIMITS, clock: systemClock, metrics: createMetrics() });
afterAll(() => Promise.all([toolchain.close(), pool.close()]));

const GET = Buffer.from('{"method":"GET"}');
const ENTRYPOINT = 'envoy/authz/allow';
const LATER = Number.POSITIVE_INFINITY;
const allowing = (method: string) => ({
  modules: {
    'a.rego': `package envoy.authz\n\ndefault allow := false\n\nallow if input.method == "${method}"\n`,
  },
});

/** A journal of policies without a journal: drafts become entries at once. */
function aWorld(blobs: Blobs = createMemoryBlobs()) {
  const state = createPolicyState();
  const metrics = createMetrics();
  const administration = createPolicyAdministration({
    view: state.view,
    blobs,
    toolchain,
    options: POLICY_LIMITS,
  });
  const active = createActivePolicies({
    view: state.view,
    blobs,
    options: POLICY_LIMITS,
    pool,
    clock: systemClock,
    random: (size) => new Uint8Array(size),
    logger: silentLogger,
    metrics,
  });
  let seq = 0;
  const apply = (draft: Parameters<typeof anEntry>[1]): FoldedEntry => {
    seq += 1;
    const entry = anEntry(seq, draft);
    active.follow(new Set(state.reducer.apply(entry)));
    return entry;
  };
  return {
    ...state,
    apply,
    blobs,
    active,
    metrics,
    administration,
    async publish(name: string, source: object): Promise<Digest> {
      const { revision, draft } = await administration.publish(name, source, AbortSignal.timeout(30_000));
      apply(draft);
      return revision;
    },
    release: (name: string, revision: Digest) => apply(administration.release(name, revision)),
  };
}

describe('the active policies', () => {
  it('run what was released, and nothing that was only published', async () => {
    const world = aWorld();
    const revision = await world.publish('p', allowing('GET'));
    await world.active.settled();
    expect(world.active.select('p')).toBeUndefined();
    expect(world.active.releasedNames()).toEqual([]);

    const { seq } = world.release('p', revision);
    await world.active.settled();

    expect(world.active.releasedNames()).toEqual(['p']);
    expect(world.active.select('p')).toMatchObject({ name: 'p', revision, seq, entrypoints: [ENTRYPOINT] });
    expect(world.active.select('p')?.evaluate(ENTRYPOINT, GET, LATER)).toMatchObject({ value: true });
    expect(world.active.select('q')).toBeUndefined();
  });

  it('swap one reference: who holds the old policy finishes with it', async () => {
    const world = aWorld();
    world.release('p', await world.publish('p', allowing('GET')));
    await world.active.settled();
    const old = world.active.select('p');

    const second = await world.publish('p', allowing('POST'));
    world.release('p', second);
    await world.active.settled();

    expect(world.active.select('p')?.revision).toBe(second);
    expect(world.active.select('p')?.evaluate(ENTRYPOINT, GET, LATER)).toMatchObject({ value: false });
    expect(old?.evaluate(ENTRYPOINT, GET, LATER)).toMatchObject({ value: true });
  });

  it('go back by a release of an older revision', async () => {
    const world = aWorld();
    const first = await world.publish('p', allowing('GET'));
    const second = await world.publish('p', allowing('POST'));
    for (const revision of [first, second, first]) world.release('p', revision);
    await world.active.settled();
    expect(world.active.select('p')).toMatchObject({ revision: first, seq: 5 });
  });

  it('follow an adopted journal: another release in the same place runs, and what only the lost part released stops', async () => {
    const world = aWorld();
    const first = await world.publish('p', allowing('GET'));
    const second = await world.publish('p', allowing('POST'));
    const other = await world.publish('q', allowing('GET'));
    const adopted = createPolicyState();
    adopted.reducer.section.restore([...world.reducer.section.capture()]);
    world.release('p', first);
    world.release('q', other);
    await world.active.settled();
    expect(world.active.select('p')).toMatchObject({ revision: first, seq: 4 });
    expect(world.active.select('q')).toMatchObject({ revision: other });

    adopted.reducer.apply(anEntry(4, world.administration.release('p', second)));
    world.active.follow(world.reducer.section.restore([...adopted.reducer.section.capture()]));
    await world.active.settled();
    expect(world.active.select('p')).toMatchObject({ revision: second, seq: 4 });
    expect(world.active.select('q')).toBeUndefined();
  });

  it('end at the last of many releases that come while one is loaded', async () => {
    const world = aWorld();
    const revisions = [await world.publish('p', allowing('GET')), await world.publish('p', allowing('POST'))];
    let last: FoldedEntry | undefined;
    for (let round = 0; round < 20; round += 1) {
      last = world.release('p', revisions[round % 2]!);
      if (round % 3 === 0) await Promise.resolve();
      if (round % 7 === 0) await world.active.settled();
    }
    await world.active.settled();
    expect(world.active.select('p')).toMatchObject({ revision: revisions[1], seq: last?.seq });
  });

  it('load everything that is released when the program starts', async () => {
    const blobs = createMemoryBlobs();
    const before = aWorld(blobs);
    const revision = await before.publish('p', allowing('GET'));
    const release = before.release('p', revision);
    const { view } = before;
    const dependencies = {
      view,
      blobs,
      options: POLICY_LIMITS,
      pool,
      clock: systemClock,
      random: (size: number) => new Uint8Array(size),
    };
    const active = createActivePolicies({ ...dependencies, logger: silentLogger, metrics: createMetrics() });
    await active.loadAll();
    expect(active.select('p')).toMatchObject({ revision, seq: release.seq });
  });

  it('keep the old one running when the new one cannot be loaded, and say so', async () => {
    const memory = createMemoryBlobs();
    const lost = new Set<Digest>();
    const blobs: Blobs = {
      put: (bytes) => memory.put(bytes),
      get: async (digest) => {
        if (lost.has(digest)) throw new Failure('not_found', 'there is no such blob');
        return memory.get(digest);
      },
    };
    const world = aWorld(blobs);
    const first = await world.publish('p', allowing('GET'));
    world.release('p', first);
    await world.active.settled();

    const second = await world.publish('p', allowing('POST'));
    const artefact = world.view.revisions('p').at(-1)!.body.artefact;
    lost.add(artefact);
    world.release('p', second);
    await world.active.settled();

    expect(world.active.select('p')).toMatchObject({ revision: first });
    expect(world.active.trouble('p')).toBe('there is no such blob');
    expect(await world.metrics.render()).toContain('chancery_policy_loads_total{outcome="failed"} 1');

    lost.clear();
    world.active.follow(new Set(['settings']));
    await world.active.settled();
    expect(world.active.select('p')).toMatchObject({ revision: second });
    expect(world.active.trouble('p')).toBeUndefined();
  });

  it('try again when the store is away for a moment', async () => {
    const memory = createMemoryBlobs();
    let away = 3;
    const blobs: Blobs = {
      put: (bytes) => memory.put(bytes),
      get: async (digest) => {
        away -= 1;
        if (away >= 0) throw new Failure('store_unavailable', 'away');
        return memory.get(digest);
      },
    };
    const world = aWorld(blobs);
    const revision = await world.publish('p', allowing('GET'));
    world.release('p', revision);
    await world.active.settled();
    expect(world.active.select('p')).toMatchObject({ revision });
  });

  it('meter what was published before there were budgets, when they load it', async () => {
    const world = aWorld();
    const { modules } = allowing('GET');
    const source = { modules, builtins: NATIVE_BUILTINS, entrypoints: [ENTRYPOINT] };
    const { wasm } = await toolchain.compile(source);
    const { draft } = await world.administration.publish('p', { modules }, AbortSignal.timeout(30_000));
    const { metering: _metering, smokeUnits: _smokeUnits, ...older } = draft.body as RevisionBody;
    const body = { ...older, artefact: await world.blobs.put(wasm) };
    world.apply({ kind: 'policy.revision', body });
    const { seq } = world.release('p', older.revision);
    await world.active.settled();
    expect(world.active.select('p')).toMatchObject({ revision: older.revision, seq });
    expect(world.active.select('p')?.evaluate(ENTRYPOINT, GET, LATER)).toMatchObject({ value: true });
    expect(await world.metrics.render()).toContain('chancery_policy_evaluation_units_count{policy="p"} 1');
  });

  it('count what evaluations cost, and why they failed', async () => {
    const world = aWorld();
    const endless = 'count([1 | some a in input.x; some b in input.x; some c in input.x; a + b + c == -1])';
    const modules = { 'a.rego': `package envoy.authz\n\nallow := ${endless}\n` };
    world.release('p', await world.publish('p', { modules }));
    await world.active.settled();
    const policy = world.active.select('p');
    const x = Array.from({ length: 500 }, (_, index) => index);
    expect(policy?.evaluate(ENTRYPOINT, Buffer.from('{"x":[1]}'), LATER)).toMatchObject({ value: 0 });
    expect(() => policy?.evaluate(ENTRYPOINT, Buffer.from(JSON.stringify({ x })), LATER)).toThrow(
      /more than \d+ units/,
    );
    expect(() => policy?.evaluate(ENTRYPOINT, Buffer.from('{'), LATER)).toThrow(Failure);
    const metrics = await world.metrics.render();
    expect(metrics).toContain('chancery_policy_evaluation_units_bucket{le="10000000",policy="p"} 2');
    expect(metrics).toContain('chancery_policy_evaluation_units_bucket{le="50000000",policy="p"} 3');
    for (const outcome of ['over_budget', 'failed']) {
      const labels = `{policy="p",outcome="${outcome}"}`;
      expect(metrics).toContain(`chancery_policy_failed_evaluations_total${labels} 1`);
    }
  });

  it('run no artefact but the one that the release names', async () => {
    const world = aWorld();
    const revision = await world.publish('p', allowing('GET'));
    const other = await world.publish('other', allowing('POST'));
    const draft = world.administration.release('p', revision);
    const { artefact } = world.view.revisions('other')[0]!.body;
    expect(world.view.revisions('p')[0]!.body.artefact).not.toBe(artefact);
    expect(draft.body).toMatchObject({ policy: 'p', artefact: world.view.revisions('p')[0]!.body.artefact });
    expect(() => world.administration.release('p', other)).toThrow(Failure);
  });
});

describe('the administration of policies', () => {
  it('gives back the source of a revision as it was published', async () => {
    const world = aWorld();
    const source = { ...allowing('GET'), data: { a: 1 }, smoke: [{ input: {}, result: false }] };
    const revision = await world.publish('p', source);
    expect(await world.administration.source(revision)).toEqual({ ...source, entrypoints: [ENTRYPOINT] });
  });
});
