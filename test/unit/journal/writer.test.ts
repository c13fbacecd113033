import { describe, expect, it } from 'vitest';
import { Failure } from '../../../src/core/failure.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import type { Change, Reducer } from '../../../src/journal/fold.ts';
import { createFollower } from '../../../src/journal/follower.ts';
import type { Journal } from '../../../src/journal/journal.ts';
import { systemRandom } from '../../../src/journal/random.ts';
import { generateSigningKey } from '../../../src/journal/signing-key.ts';
import { createWriter, type WriterOptions } from '../../../src/journal/writer.ts';
import { silentLogger } from '../../../src/telemetry/logger.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { NOON_MS } from '../../support/journal-commits.ts';
import { createTestJournal, withTheRest } from '../../support/journal-memory.ts';
import { noSection } from '../../support/sections.ts';

const soon = () => AbortSignal.timeout(5_000);

function aCounter() {
  const bodies: JsonObject[] = [];
  const reducer: Reducer = {
    kinds: ['settings.put'],
    section: noSection(),
    apply({ body }) {
      bodies.push(body);
      return ['settings'];
    },
  };
  return { reducer, bodies };
}

function aChange(id: string, body: JsonObject = {}): Change<string> {
  return {
    id,
    actor: 'test:somebody',
    prepare: () => ({ drafts: [{ kind: 'settings.put', body }], result: `result of ${id}` }),
  };
}

/** Another process on the same journal, with a store in between that the test controls. */
async function aWriter(
  journal: Journal,
  signingKey: WriterOptions['signingKey'],
  options: Partial<WriterOptions> = {},
) {
  const { reducer, bodies } = aCounter();
  const clock = { nowMs: () => NOON_MS };
  const follower = createFollower({
    journal,
    reducers: withTheRest([reducer]),
    logger: silentLogger,
    metrics: createMetrics(),
    clock,
    random: systemRandom,
  });
  await follower.sync();
  const writer = createWriter({
    journal,
    follower,
    signingKey,
    clock,
    random: systemRandom,
    retryMs: 1,
    ...options,
  });
  return { follower, writer, bodies };
}

describe('a writer', () => {
  it('appends what prepare answers and resolves when the fold has it', async () => {
    const { reducer, bodies } = aCounter();
    const { writer, follower, journal } = await createTestJournal({ reducers: [reducer] });
    const changed = await writer.change(aChange('c1', { a: 1 }), soon());
    expect(changed).toEqual({ replayed: false, position: follower.position(), result: 'result of c1' });
    expect(bodies).toEqual([{ a: 1 }]);
    expect(await journal.head()).toEqual(follower.position());
  });

  it('does not take a change for done that the store has lost again before it was applied', async () => {
    const { journal, signingKey } = await createTestJournal();
    const before = await journal.head();
    const find = async () => undefined;
    // put back to the state right before, so that its head is the one that is known here
    const forgetful: Journal = { ...journal, find, head: async () => before };
    const { writer } = await aWriter(forgetful, signingKey);
    await expect(writer.change(aChange('c1'), soon())).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  it('answers a commit id that is there with its position and does not prepare again', async () => {
    const { writer, follower } = await createTestJournal();
    const first = await writer.change(aChange('c1'), soon());
    await writer.change(aChange('c2'), soon());
    const never: Change<string> = {
      ...aChange('c1'),
      prepare() {
        throw new Error('must not run');
      },
    };
    expect(await writer.change(never, soon())).toEqual({ replayed: true, position: first.position });
    expect(follower.position().seq).toBe(3);
  });

  it('makes changes one after the other, each at the state that the one before has left', async () => {
    const { reducer, bodies } = aCounter();
    const { writer } = await createTestJournal({ reducers: [reducer] });
    const counting = Array.from({ length: 20 }, (_, index) =>
      writer.change(
        {
          id: `c${index}`,
          actor: 'a',
          prepare: () => ({
            drafts: [{ kind: 'settings.put', body: { n: bodies.length } }],
            result: undefined,
          }),
        },
        soon(),
      ),
    );
    await Promise.all(counting);
    expect(bodies).toEqual(Array.from({ length: 20 }, (_, n) => ({ n })));
  });

  it('folds and prepares again when another process was faster, so that no update is lost', async () => {
    const { journal, signingKey } = await createTestJournal();
    const processes = await Promise.all(
      [1, 2, 3].map(() => aWriter(journal, signingKey, { maxAttempts: 50 })),
    );
    await Promise.all(
      processes.flatMap(({ writer, bodies }, index) =>
        Array.from({ length: 10 }, (_, n) =>
          writer.change(
            {
              id: `p${index}-${n}`,
              actor: 'a',
              prepare: () => ({
                drafts: [{ kind: 'settings.put', body: { n: bodies.length } }],
                result: undefined,
              }),
            },
            soon(),
          ),
        ),
      ),
    );
    for (const { follower } of processes) await follower.sync();
    for (const { bodies } of processes) expect(bodies).toEqual(Array.from({ length: 30 }, (_, n) => ({ n })));
  });

  it('passes on what prepare throws and appends nothing', async () => {
    const { writer, journal } = await createTestJournal();
    const before = await journal.head();
    const change: Change<string> = {
      ...aChange('c1'),
      prepare() {
        throw new Failure('object_changed', 'If-Match');
      },
    };
    await expect(writer.change(change, soon())).rejects.toMatchObject({
      code: 'object_changed',
      detail: 'If-Match',
    });
    expect(await journal.head()).toEqual(before);
    await expect(writer.change(aChange('c2'), soon())).resolves.toMatchObject({ replayed: false });
  });

  it('says overloaded after the last attempt', async () => {
    const { journal, signingKey } = await createTestJournal();
    let attempts = 0;
    const contended: Journal = {
      ...journal,
      async append() {
        attempts += 1;
        throw new Failure('object_changed', 'moved');
      },
    };
    const { writer } = await aWriter(contended, signingKey, { maxAttempts: 3 });
    await expect(writer.change(aChange('c1'), soon())).rejects.toMatchObject({ code: 'overloaded' });
    expect(attempts).toBe(3);
  });

  it('says overloaded when too many changes wait', async () => {
    const { journal, signingKey } = await createTestJournal();
    const { writer } = await aWriter(journal, signingKey, { queueLimit: 2 });
    const results = await Promise.allSettled(
      ['c1', 'c2', 'c3'].map((id) => writer.change(aChange(id), soon())),
    );
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    expect(results[2]).toMatchObject({ reason: { code: 'overloaded' } });
    await expect(writer.change(aChange('c4'), soon())).resolves.toMatchObject({ replayed: false });
  });

  it('settles an append that was stored although it failed: the change is made, once', async () => {
    const { journal, signingKey } = await createTestJournal();
    let finds = 0;
    const flaky: Journal = {
      ...journal,
      async append(commit, expectedHead) {
        await journal.append(commit, expectedHead);
        throw new Failure('store_unavailable', 'the answer was lost');
      },
      async find(id) {
        finds += 1;
        if (finds === 2) throw new Failure('store_unavailable', 'still away');
        return journal.find(id);
      },
    };
    const { writer, bodies } = await aWriter(flaky, signingKey);
    const changed = await writer.change(aChange('c1', { a: 1 }), soon());
    expect(changed).toMatchObject({ replayed: false, result: 'result of c1' });
    expect(bodies).toEqual([{ a: 1 }]);
    expect(finds).toBe(3);
  });

  it('says store_unavailable when an append failed and find shows that nothing was stored', async () => {
    const { journal, signingKey } = await createTestJournal();
    const before = await journal.head();
    const failing: Journal = {
      ...journal,
      async append() {
        throw new Failure('store_unavailable', 'away');
      },
    };
    const { writer } = await aWriter(failing, signingKey);
    await expect(writer.change(aChange('c1'), soon())).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(await journal.head()).toEqual(before);
  });

  it('says store_unavailable, within a bound, when the outcome cannot be found out', async () => {
    const { journal, signingKey } = await createTestJournal();
    let finds = 0;
    const failing: Journal = {
      ...journal,
      async append() {
        throw new Failure('store_unavailable', 'away');
      },
      async find() {
        finds += 1;
        if (finds === 1) return undefined;
        throw new Failure('store_unavailable', 'away');
      },
    };
    const { writer } = await aWriter(failing, signingKey, { maxSettleAttempts: 3 });
    await expect(writer.change(aChange('c1'), soon())).rejects.toMatchObject({
      code: 'store_unavailable',
      detail: 'it is not known whether the change was stored',
    });
    expect(finds).toBe(4);
  });

  it('answers as a replay when another process has stored the same commit id meanwhile', async () => {
    const { journal, signingKey, writer: other } = await createTestJournal();
    const racing: Journal = {
      ...journal,
      async append(commit, expectedHead) {
        await other.change(aChange(commit.id, { by: 'other' }), soon());
        return journal.append(commit, expectedHead);
      },
    };
    const { writer, bodies } = await aWriter(racing, signingKey);
    const changed = await writer.change(aChange('c1', { by: 'me' }), soon());
    expect(changed).toEqual({ replayed: true, position: await journal.head() });
    expect(bodies).toEqual([{ by: 'other' }]);
  });

  it('appends nothing with a key that is not in genesis', async () => {
    const { journal } = await createTestJournal();
    const before = await journal.head();
    const { writer } = await aWriter(journal, generateSigningKey());
    await expect(writer.change(aChange('c1'), soon())).rejects.toMatchObject({ code: 'store_mismatch' });
    expect(await journal.head()).toEqual(before);
  });

  it('stops waiting at the deadline, and a change whose turn comes later is not made', async () => {
    const { journal, signingKey } = await createTestJournal();
    const gate = Promise.withResolvers<void>();
    const slow: Journal = {
      ...journal,
      async append(commit, expectedHead) {
        await gate.promise;
        return journal.append(commit, expectedHead);
      },
    };
    const { writer } = await aWriter(slow, signingKey);
    const first = writer.change(aChange('c1'), AbortSignal.timeout(5));
    const second = writer.change(aChange('c2'), AbortSignal.timeout(5));
    await expect(first).rejects.toMatchObject({ code: 'deadline_exceeded' });
    await expect(second).rejects.toMatchObject({ code: 'deadline_exceeded' });
    gate.resolve();
    await writer.change(aChange('c3'), soon());
    expect(await journal.find('c1')).toMatchObject({ seq: 2 });
    expect(await journal.find('c2')).toBeUndefined();
    expect(await journal.find('c3')).toMatchObject({ seq: 3 });
  });

  it('refuses to append to a store that has diverged', async () => {
    const test = await createTestJournal();
    const { journal, signingKey } = test;
    let lost = false;
    const losing: Journal = {
      ...journal,
      head: async () => (lost ? { epoch: 1, seq: 1, digest: `sha256:${'1'.repeat(64)}` } : journal.head()),
    };
    await test.append('settings.put', {});
    const { writer } = await aWriter(losing, signingKey);
    lost = true;
    await expect(writer.change(aChange('c9'), soon())).rejects.toMatchObject({ code: 'store_diverged' });
    expect(await journal.find('c9')).toBeUndefined();
  });
});
