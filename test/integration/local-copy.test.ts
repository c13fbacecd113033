import { copyFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Digest } from '../../src/core/digest.ts';
import { readLocalCopy } from '../../src/journal/local-copy.ts';
import { openStore } from '../../src/store/open.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { eventually } from '../support/eventually.ts';
import {
  exchangeToken,
  type Instance,
  initInstance,
  runChancery,
  type ServeProcess,
  startServe,
} from '../support/serve-process.ts';

const EVERY = 10;
const KILLS = 4;

const service = (prefix: string) => ({
  hosts: ['copy.example'],
  prefix,
  access: 'grants',
  endpoints: [{ address: '127.0.0.1', port: 9 }],
});

describe('serve with a local copy', { timeout: 240_000 }, () => {
  let instance: Instance;
  let folder: string;
  let token = '';
  let running: ServeProcess | undefined;
  const flags = (): string[] => [
    ...['--config', instance.configFile],
    ...['--set', `journal.localCopy=${folder}`, '--set', `journal.checkpointEvery=${EVERY}`],
    ...['--set', 'journal.pollMs=100'],
  ];
  const start = async (): Promise<ServeProcess> => {
    running = await startServe(flags());
    return running;
  };
  const call = async (method: string, name: string, prefix?: string): Promise<number> => {
    const url = `http://127.0.0.1:${running?.ports.admin}/v1/services/${name}`;
    const response = await fetch(url, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        ...(method === 'PUT' && { 'if-none-match': '*' }),
      },
      ...(prefix !== undefined && { body: JSON.stringify(service(prefix)) }),
      signal: AbortSignal.timeout(30_000),
    });
    await response.arrayBuffer();
    return response.status;
  };
  const copy = () => readLocalCopy(folder, { genesis: instance.genesis as Digest });
  const storeFiles = ['', '-wal', '-shm'];
  const moveStore = async (from: string, to: string): Promise<void> => {
    for (const suffix of storeFiles) await rename(from + suffix, to + suffix).catch(() => {});
  };

  beforeAll(async () => {
    instance = await initInstance();
    folder = join(instance.folder, 'copy');
    ({ token } = await exchangeToken(await start(), instance.oneTimeToken));
  });
  afterAll(async () => {
    await running?.kill();
    await instance?.remove();
  });

  it('starts without the store, answers, and takes changes again when the store is back', async () => {
    for (let index = 0; index < 3 * EVERY; index += 1) {
      expect(await call('PUT', `s${index}`, `/s${index}`)).toBe(201);
    }
    await eventually('the copy has a checkpoint and everything', async () => {
      const there = await copy();
      return there?.manifest !== undefined && there.position.seq >= 3 * EVERY;
    });
    await running?.stop();
    const aside = `${instance.storeFile}.aside`;
    await moveStore(instance.storeFile, aside);

    const { ports, output } = await start();
    expect(output()).toContain('the start is from the local copy');
    const ready = await fetch(`http://127.0.0.1:${ports.ops}/readyz`);
    expect(await ready.text()).toContain('store_unavailable');
    expect(await call('GET', 's7')).toBe(200);
    expect(await call('PUT', 'new', '/new')).toBe(503);

    await moveStore(aside, instance.storeFile);
    await eventually('it follows again', async () => {
      return (await fetch(`http://127.0.0.1:${ports.ops}/readyz`)).ok;
    });
    expect(await call('PUT', 'new', '/new')).toBe(201);
    await running?.stop();
  });

  it('is whole after it was killed at any moment', async () => {
    let written = 0;
    for (let kill = 0; kill < KILLS; kill += 1) {
      const { output } = await start();
      expect(output()).toMatch(/the start is from (the local copy|a checkpoint of the store)/);
      const before = written;
      const writing = (async () => {
        for (;;) {
          const status = await call('PUT', `k${written}`, `/k${written}`);
          // the answer to the one before the kill may be lost
          if (status !== 201 && status !== 412) throw new Error(`unexpected answer ${status}`);
          written += 1;
        }
      })().catch(() => {});
      await eventually('it writes', () => written > before + 2 * EVERY);
      await sleep(Math.random() * 20);
      await running?.kill();
      await writing;
      const there = await copy();
      expect(there?.position.seq).toBeGreaterThan(3 * EVERY);
    }
    await start();
    for (let index = 0; index < written; index += 1) expect(await call('GET', `k${index}`)).toBe(200);
    const store = await openStore({ sqlite: { path: instance.storeFile } }, silentLogger);
    const head = await store.journal.head();
    await store.close();
    await eventually('the copy is at the head', async () => (await copy())?.position.seq === head.seq);
    expect((await copy())?.position).toEqual(head);
    await running?.stop();
  });

  it('refuses a store that has lost entries, and one that is empty', async () => {
    const older = `${instance.storeFile}.older`;
    const store = await openStore({ sqlite: { path: instance.storeFile } }, silentLogger);
    await store.close();
    await copyFile(instance.storeFile, older);
    await start();
    expect(await call('PUT', 'lost', '/lost')).toBe(201);
    const { seq } = await eventually('it is copied', async () => {
      const there = await copy();
      return there?.commits.at(-1)?.entries[0]?.entry.kind === 'registry.service.put'
        ? there.position
        : undefined;
    });
    await running?.stop();

    for (const suffix of storeFiles) await rm(instance.storeFile + suffix, { force: true });
    await copyFile(older, instance.storeFile);
    const refused = await runChancery(['serve', ...flags()]);
    expect(refused.code).not.toBe(0);
    expect(refused.stdout + refused.stderr).toContain('store_diverged');
    expect((await copy())?.position.seq).toBe(seq);

    for (const suffix of storeFiles) await rm(instance.storeFile + suffix, { force: true });
    await writeFile(instance.storeFile, '');
    const empty = await runChancery(['serve', ...flags()]);
    expect(empty.code).not.toBe(0);
    expect(empty.stdout + empty.stderr).toMatch(/store_mismatch|not a store/);
  });
});
