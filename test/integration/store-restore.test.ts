import { existsSync, readdirSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createClient } from '../../src/client/client.ts';
import { eventually } from '../support/eventually.ts';
import {
  exchangeToken,
  type Finished,
  type Instance,
  initInstance,
  runChancery,
  type ServeProcess,
  spawnChancery,
  startServe,
} from '../support/serve-process.ts';
import { aRevision, openWriter, verifyFile } from '../support/store-content.ts';

const inAnHour = (): string => new Date(Date.now() + 3_600_000).toISOString();

describe('chancery store restore', () => {
  let instance: Instance;
  let serve: ServeProcess | undefined;
  /** issued before the backup, revoked after it */
  let revoked: string;
  /** never revoked */
  let kept: string;
  let backedUpSeq: number;
  const at = (name: string): string => join(instance.folder, name);

  /** A backup of a running instance; then something is revoked, and then the store is lost. */
  beforeAll(async () => {
    instance = await initInstance();
    await mkdir(at('local'));
    const options = ['--set', `journal.localCopy=${at('local')}`, '--set', 'journal.checkpointEvery=2'];
    serve = await startServe(withConfig(...options));
    const { client, token } = await exchangeToken(serve, instance.oneTimeToken);
    kept = token;
    const { data } = await client.POST('/v1/tokens', {
      body: { name: 'leaked', scopes: ['registry:read'], expiresAt: inAnHour() },
    });
    revoked = data?.token ?? '';
    const id = data?.id ?? '';
    expect(await mayRead(revoked)).toBe(true);
    await eventually('a checkpoint', () => serve?.output().includes('a checkpoint is written'));
    const backup = await store('backup', '--to', at('backup.db'), '--json');
    expect(backup).toMatchObject({ code: 0, stderr: '' });
    backedUpSeq = (JSON.parse(backup.stdout) as { head: { seq: number } }).head.seq;
    await client.DELETE('/v1/tokens/{id}', { params: { path: { id } } });
    expect(await mayRead(revoked)).toBe(false);
    expect(await serve.stop()).toBe(0);
    await rename(instance.storeFile, at('lost.db'));
  });
  afterEach(() => serve?.kill());
  afterAll(() => instance?.remove());

  const withConfig = (...more: readonly string[]) => ['--config', instance.configFile, ...more];
  const store = (command: string, ...more: readonly string[]): Promise<Finished> =>
    runChancery(['store', command, ...withConfig(...more)]);
  const into = (name: string): readonly string[] => ['--set', `store.sqlite.path=${at(name)}`];
  const mayRead = async (token: string): Promise<boolean> => {
    const baseUrl = `http://127.0.0.1:${serve?.ports.admin}`;
    const client = createClient({ baseUrl, token, maxAttempts: 1 });
    return client.GET('/v1/services').then(
      ({ response }) => response.ok,
      () => false,
    );
  };
  const filesBeside = (name: string): readonly string[] =>
    readdirSync(instance.folder).filter((each) => each.startsWith(name) && !each.endsWith('-inode'));

  it('makes the store again in a new epoch, and says aloud that what was revoked is in force', async () => {
    const { code, stdout, stderr } = await store('restore', '--from', at('backup.db'), ...into('plain.db'));
    expect(code).toBe(0);
    expect(stdout).toMatch(
      new RegExp(`^restored: ${backedUpSeq} entries .*head 1\\.${backedUpSeq} sha256:[0-9a-f]{64}$`, 'm'),
    );
    expect(stdout).toMatch(new RegExp(`the journal goes on in epoch 2, head 2\\.${backedUpSeq + 1} `));
    expect(stderr).toMatch(/WARNING: whatever was revoked after this backup is in force again/);
    expect(stderr).toMatch(/a backup has no secrets: /);
    expect(filesBeside('plain.db')).toEqual(['plain.db']);
    expect(await verifyFile(at('plain.db'), instance.genesis)).toMatchObject({
      ok: true,
      anchored: true,
      head: { epoch: 2, seq: backedUpSeq + 1 },
    });

    serve = await startServe(withConfig(...into('plain.db')));
    expect([await mayRead(kept), await mayRead(revoked)]).toEqual([true, true]);
    expect(serve.output()).toContain('the start is from a checkpoint of the store');
  });

  it('keeps revoked what a replica knows to be revoked', async () => {
    const args = ['--from', at('backup.db'), '--lost-from', at('local'), '--json'];
    const { code, stdout, stderr } = await store('restore', ...args, ...into('knowing.db'));
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ head: { epoch: 2 }, lostEntries: 1, kept: 1 });
    expect(stderr).not.toMatch(/WARNING/);
    serve = await startServe(withConfig(...into('knowing.db')));
    expect([await mayRead(kept), await mayRead(revoked)]).toEqual([true, false]);
  });

  it('touches no store that has anything in it', async () => {
    await store('copy', '--to', at('there.db'), ...into('lost.db'));
    const before = await verifyFile(at('there.db'), instance.genesis);
    const { code, stderr } = await store('restore', '--from', at('backup.db'), ...into('there.db'));
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/the store of the configuration is not empty.*\(already_exists\)\n$/),
    });
    expect(await verifyFile(at('there.db'), instance.genesis)).toEqual(before);
  });

  it.each([
    { what: 'a store, which is no backup', from: 'lost.db', more: [], message: /not a backup/ },
    { what: 'what is not there', from: 'nothing.db', more: [], message: /there is no store/ },
    {
      what: "another instance's backup",
      from: 'backup.db',
      more: ['--set', `journal.genesis=sha256:${'0'.repeat(64)}`],
      message: /genesis is not the pinned one/,
    },
  ])('refuses $what, and leaves no store behind', async ({ from, more, message }) => {
    const { code, stderr } = await store('restore', '--from', at(from), ...into('refused.db'), ...more);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(message) });
    expect(existsSync(at('refused.db'))).toBe(false);
  });

  it('refuses a key that is not one of this journal', async () => {
    const other = await initInstance();
    try {
      const key = ['--set', `journal.signingKeyFile=${other.keyFile}`];
      const { code, stderr } = await store(
        'restore',
        '--from',
        at('backup.db'),
        ...into('forged.db'),
        ...key,
      );
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringMatching(/signature.*store_mismatch/),
      });
      expect(existsSync(at('forged.db'))).toBe(false);
    } finally {
      await other.remove();
    }
  });

  it('begins anew after a restore that was killed, and leaves no file of the name before it is whole', async () => {
    const writer = await openWriter({ ...instance, storeFile: at('lost.db') });
    for (let n = 0; n < 24; n += 1) await writer.append(`big-${n}`, await aRevision(writer, n, 1_500_000));
    await writer.close();
    await store('backup', '--to', at('big.db'), ...into('lost.db'));
    const args = ['store', 'restore', ...withConfig('--from', at('big.db'), ...into('killed.db'))];
    for (let kill = 0; kill < 3; kill += 1) {
      const { child, finished } = spawnChancery(args);
      await eventually(
        'it is restoring',
        () => child.exitCode !== null || existsSync(at('killed.db.partial')),
      );
      child.kill('SIGKILL');
      await finished;
      expect(child.signalCode).toBe('SIGKILL');
      expect(existsSync(at('killed.db'))).toBe(false);
    }
    expect((await runChancery(args)).code).toBe(0);
    expect(filesBeside('killed.db')).toEqual(['killed.db']);
    expect(await verifyFile(at('killed.db'), instance.genesis)).toMatchObject({
      ok: true,
      head: { epoch: 2 },
    });
  });
});
