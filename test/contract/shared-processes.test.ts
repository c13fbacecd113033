import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { EMPTY_HEAD } from '../../src/journal/journal.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { eventually } from '../support/eventually.ts';
import { aTemporaryPath } from '../support/journal-stores.ts';

const PROCESS_FILE = fileURLToPath(new URL('../support/shared-race-process.ts', import.meta.url));
const PROCESSES = 3;
const KEYS = 200;

describe('shared state of several processes', () => {
  it('lets exactly one process win each claim, and counts what all of them add', async () => {
    const { path, remove } = await aTemporaryPath('journal.db');
    const children: ChildProcess[] = [];
    try {
      await (await openStore({ sqlite: { path }, create: true }, silentLogger)).close();
      const outputs = Array.from({ length: PROCESSES }, () => {
        const child = spawn(process.execPath, [PROCESS_FILE, path, String(KEYS)], {
          stdio: ['pipe', 'pipe', 'inherit'],
        });
        children.push(child);
        const output = { text: '' };
        child.stdout.on('data', (chunk: Buffer) => {
          output.text += chunk.toString();
        });
        return output;
      });
      const ended = children.map((child) => once(child, 'close'));
      await eventually('all are ready', () => outputs.every(({ text }) => text.startsWith('ready')));
      for (const child of children) child.stdin?.write('go\n');
      expect((await Promise.all(ended)).map(([code]) => code)).toEqual(children.map(() => 0));

      const lines = outputs.flatMap(({ text }) => text.split('\n'));
      const won = lines.filter((line) => line.startsWith('won '));
      expect(won.toSorted()).toEqual(Array.from({ length: KEYS }, (_, n) => `won key-${n}`).toSorted());
      const counts = lines.flatMap((line) => (line.startsWith('count ') ? [Number(line.slice(6))] : []));
      expect(Math.max(...counts)).toBe(PROCESSES * KEYS);
    } finally {
      for (const child of children) child.kill('SIGKILL');
      await remove();
    }
  });

  it('is there for all who use it first at the same moment', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { path, remove } = await aTemporaryPath('journal.db');
      const open = (): Promise<Store> => openStore({ sqlite: { path }, create: true }, silentLogger);
      const stores = await Promise.all([open(), open(), open(), open()]);
      const won = await Promise.all(stores.map(({ shared }) => shared.claim('leader', 60_000)));
      await Promise.all(stores.map((store) => store.close()));
      await remove();
      expect(won.filter(Boolean)).toHaveLength(1);
    }
  });

  it('makes the file beside the store with its first use, for the owner only', async () => {
    const { path, remove } = await aTemporaryPath('journal.db');
    const store = await openStore({ sqlite: { path }, create: true }, silentLogger);
    try {
      expect(existsSync(`${path}-shared`)).toBe(false);
      expect(await store.shared.list('')).toEqual([]);
      expect(statSync(`${path}-shared`).mode & 0o777).toBe(0o600);
    } finally {
      await store.close();
      await remove();
    }
  });

  it('keeps the journal at work when the file of the shared state is not one', async () => {
    const { path, remove } = await aTemporaryPath('journal.db');
    writeFileSync(`${path}-shared`, 'no database '.repeat(500));
    const store = await openStore({ sqlite: { path }, create: true }, silentLogger);
    try {
      await expect(store.shared.claim('a', 1_000)).rejects.toMatchObject({ code: 'store_mismatch' });
      expect(await store.journal.head()).toEqual(EMPTY_HEAD);
    } finally {
      await store.close();
      await remove();
    }
  });
});
