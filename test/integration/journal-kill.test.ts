import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { initJournal } from '../../src/journal/init.ts';
import { systemRandom } from '../../src/journal/random.ts';
import { writeSigningKeyFile } from '../../src/journal/signing-key.ts';
import { verifyStore } from '../../src/journal/verify-store.ts';
import { openStore } from '../../src/store/open.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { aTemporaryPath } from '../support/journal-stores.ts';

const APPENDS = 1_000;
const KILLS = 20;
const PROCESS_FILE = fileURLToPath(new URL('../support/journal-append-process.ts', import.meta.url));

describe('two processes that append to one journal', () => {
  it('lose nothing that was acknowledged when they are killed at any moment', async () => {
    const seed = Number(process.env['CHANCERY_TEST_SEED'] ?? Date.now() % 2 ** 31);
    console.log(`seed ${seed} (CHANCERY_TEST_SEED repeats the points of the kills)`);
    const random = createRandom(seed);
    const { path, remove } = await aTemporaryPath('journal.db');
    const keyFile = `${path}.key`;
    try {
      const created = await openStore({ sqlite: { path }, create: true }, silentLogger);
      const { genesisDigest, signingKey } = await initJournal({
        journal: created.journal,
        instance: 'kill',
        environment: 'test',
        development: true,
        clock: systemClock,
        random: systemRandom,
      });
      await created.close();
      writeSigningKeyFile(keyFile, signingKey);

      const printed = await appendAndKill([path, keyFile, genesisDigest], random);
      expect(printed.size).toBeGreaterThanOrEqual(APPENDS);

      const store = await openStore({ sqlite: { path } }, silentLogger);
      const result = await verifyStore({
        journal: store.journal,
        blobs: store.blobs,
        expectations: { genesis: genesisDigest },
      });
      const stored = new Map<number, string>();
      for (let after = 0; ; after = Math.max(...stored.keys())) {
        const commits = await store.journal.read(after, 500);
        if (commits.length === 0) break;
        for (const { entry } of commits.flatMap(({ entries }) => entries))
          stored.set(entry.seq, entry.digest);
      }
      await store.close();

      expect(result).toMatchObject({ ok: true, anchored: true, problems: [] });
      expect([...stored.keys()]).toEqual(Array.from({ length: stored.size }, (_, index) => index + 1));
      const lost = [...printed].filter(([seq, digest]) => stored.get(seq) !== digest);
      expect(lost).toEqual([]);
    } finally {
      await remove();
    }
  });
});

/** @returns what the processes have printed: seq → digest */
async function appendAndKill(
  arguments_: readonly string[],
  random: () => number,
): Promise<ReadonlyMap<number, string>> {
  const points = Array.from({ length: KILLS }, () => 1 + Math.floor(random() * (APPENDS - 1))).toSorted(
    (a, b) => a - b,
  );
  const printed = new Map<number, string>();
  let started = 0;
  const start = (): Appender => {
    started += 1;
    return startAppender([...arguments_, `p${started}`], printed);
  };
  const running = [start(), start()];
  let kills = 0;
  try {
    for (const point of [...points, APPENDS]) {
      await eventually(() => printed.size >= point || running.some(({ child }) => child.exitCode !== null));
      expect(running.map(({ child, errors }) => ({ exitCode: child.exitCode, errors: errors() }))).toEqual(
        running.map(() => ({ exitCode: null, errors: '' })),
      );
      if (point === APPENDS) break;
      await sleep(random() * 8);
      const victim = random() < 0.5 ? 0 : 1;
      await kill(running[victim]!);
      running[victim] = start();
      kills += 1;
    }
  } finally {
    await Promise.all(running.map(kill));
  }
  expect(kills).toBe(KILLS);
  return printed;
}

interface Appender {
  readonly child: ChildProcess;
  readonly errors: () => string;
  readonly closed: Promise<unknown>;
}

function startAppender(arguments_: readonly string[], printed: Map<number, string>): Appender {
  const child = spawn(process.execPath, [PROCESS_FILE, ...arguments_], { stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    const match = /^(\d+) (sha256:[0-9a-f]{64})$/.exec(line);
    // the kill may cut the last line: that one was not acknowledged
    if (match === null) return;
    const seq = Number(match[1]);
    expect(printed.has(seq)).toBe(false);
    printed.set(seq, match[2]!);
  });
  return { child, errors: () => errors, closed: Promise.all([once(child, 'close'), once(lines, 'close')]) };
}

async function kill({ child, closed }: Appender): Promise<void> {
  child.kill('SIGKILL');
  await closed;
}

async function eventually(condition: () => boolean): Promise<void> {
  const end = Date.now() + 60_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error('the condition did not become true in time');
    await sleep(1);
  }
}

/** mulberry32: a small seeded generator; what matters is that a seed repeats a run. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
