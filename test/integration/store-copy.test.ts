import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import type { Position } from '../../src/core/position.ts';
import type { Draft } from '../../src/journal/journal.ts';
import { systemRandom } from '../../src/journal/random.ts';
import { createSecrets } from '../../src/journal/secrets.ts';
import { toSecretsKey } from '../../src/journal/secrets-key.ts';
import { openStore } from '../../src/store/open.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { eventually } from '../support/eventually.ts';
import { type Instance, initInstance, runChancery, spawnChancery } from '../support/serve-process.ts';
import { aRevision, type ContentWriter, openWriter, verifyFile } from '../support/store-content.ts';

const APPEND_PROCESS = fileURLToPath(new URL('../support/journal-append-process.ts', import.meta.url));
const key = toSecretsKey(Buffer.alloc(32, 1));
const settings = (body: JsonObject): Draft => ({ kind: 'settings.put', body });
const OTHER_GENESIS = `sha256:${'0'.repeat(64)}`;

describe('chancery store copy and chancery store backup', () => {
  let instance: Instance;
  let writer: ContentWriter;
  /** after the entries of `init` and of this */
  let head: Position;
  const at = (name: string): string => join(instance.folder, name);
  beforeEach(async () => {
    instance = await initInstance();
    writer = await openWriter(instance);
    const source = await writer.store.blobs.put(Buffer.from('package envoy.authz'));
    await writer.append('c1', settings({ a: 1 }), settings({ a: 2 }));
    head = await writer.append('c2', settings({ source }));
    await secretsOf(writer.store).put('test/key', Buffer.from('a private key'));
    await writer.store.shared.put('here', 'now', 60_000);
  });
  afterEach(async () => {
    await writer.close();
    await instance.remove();
  });

  const secretsOf = ({ sealedSecrets: sealed }: Pick<ContentWriter['store'], 'sealedSecrets'>) =>
    createSecrets({ sealed, key, random: systemRandom });
  const run = (command: 'copy' | 'backup', to: string, ...more: readonly string[]) =>
    runChancery(['store', command, '--config', instance.configFile, '--to', to, ...more]);
  const filesBeside = (name: string): readonly string[] =>
    readdirSync(instance.folder).filter((each) => each.startsWith(name) && !each.endsWith('-inode'));

  it('copies an instance to a file that the same configuration can use, its sealed secrets included', async () => {
    const { code, stdout, stderr } = await run('copy', at('moved.db'));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { length: secrets } = await writer.store.sealedSecrets.names('', 100);
    expect(stdout).toBe(
      `copied: ${head.seq} entries (${head.seq} new), 1 blobs, ${secrets} secrets; head 1.${head.seq} ${head.digest}\n`,
    );
    expect(statSync(at('moved.db')).mode & 0o777).toBe(0o600);
    expect(filesBeside('moved.db')).toEqual(['moved.db']);
    expect(await verifyFile(at('moved.db'), instance.genesis)).toMatchObject({
      ok: true,
      anchored: true,
      head,
    });

    const moved = await openStore({ sqlite: { path: at('moved.db') } }, silentLogger);
    expect(Buffer.from((await secretsOf(moved).get('test/key')) ?? []).toString()).toBe('a private key');
    expect(await moved.shared.list('')).toEqual([]);
    await moved.close();
    expect(readFileSync(at('moved.db')).includes('a private key')).toBe(false);
  });

  it('brings an earlier copy what came since, and nothing else', async () => {
    await run('copy', at('moved.db'));
    await secretsOf(writer.store).delete('test/key');
    await writer.append('c3', settings({ a: 3 }));
    const { code, stdout } = await run('copy', at('moved.db'), '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ entries: head.seq + 1, copied: 1 });
    expect(await verifyFile(at('moved.db'), instance.genesis)).toMatchObject({
      ok: true,
      entries: head.seq + 1,
    });
    const moved = await openStore({ sqlite: { path: at('moved.db') } }, silentLogger);
    expect(await moved.sealedSecrets.names('', 100)).toEqual(await writer.store.sealedSecrets.names('', 100));
    expect(await secretsOf(moved).get('test/key')).toBeUndefined();
    await moved.close();
  });

  it('backs up without the secrets, as a file that is no store', async () => {
    const { code, stdout, stderr } = await run('backup', at('monday.db'));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { seq } = head;
    expect(stdout).toBe(`backed up: ${seq} entries (${seq} new), 1 blobs; head 1.${seq} ${head.digest}\n`);
    expect(statSync(at('monday.db')).mode & 0o777).toBe(0o600);
    expect(filesBeside('monday.db')).toEqual(['monday.db']);
    await expect(openStore({ sqlite: { path: at('monday.db') } }, silentLogger)).rejects.toMatchObject({
      code: 'store_mismatch',
    });
    const backup = { backup: true };
    expect(await verifyFile(at('monday.db'), instance.genesis, backup)).toMatchObject({ ok: true, head });
    const database = new DatabaseSync(at('monday.db'), { readOnly: true });
    expect(database.prepare('SELECT count(*) AS n FROM secret').get()).toEqual({ n: 0 });
    database.close();
  });

  it('never writes over a file', async () => {
    writeFileSync(at('monday.db'), 'precious');
    const { code, stderr } = await run('backup', at('monday.db'));
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'chancery: there is a file of this name already; nothing is written over (already_exists)\n',
    });
    expect(readFileSync(at('monday.db'), 'utf8')).toBe('precious');
    expect((await run('copy', at('monday.db'))).code).toBe(1);
    expect(readFileSync(at('monday.db'), 'utf8')).toBe('precious');
  });

  it('makes no file where an old -wal would be read over it', async () => {
    writeFileSync(at('moved.db-wal'), 'of another store');
    const { code, stderr } = await run('copy', at('moved.db'));
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/-wal.*\(already_exists\)\n$/),
    });
    expect(existsSync(at('moved.db'))).toBe(false);
  });

  it('leaves no file when the store is not the pinned one', async () => {
    const { code, stderr } = await run(
      'backup',
      at('monday.db'),
      '--set',
      `journal.genesis=${OTHER_GENESIS}`,
    );
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'chancery: seq 1: genesis is not the pinned one (store_mismatch)\n',
    });
    expect(existsSync(at('monday.db'))).toBe(false);
  });

  it('does not copy a store onto itself', async () => {
    const { code, stderr } = await run('copy', join(instance.folder, '.', 'journal.db'));
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/--to is the store/) });
  });

  it('verifies a backup, and says when a byte of it has changed', async () => {
    await run('backup', at('monday.db'));
    const verify = () =>
      runChancery(['store', 'verify', '--config', instance.configFile, '--backup', at('monday.db')]);
    expect(await verify()).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^consistent, anchored: /),
    });
    const database = new DatabaseSync(at('monday.db'));
    database.exec("UPDATE entry SET actor = 'somebody' WHERE seq = 2");
    database.close();
    expect(await verify()).toMatchObject({ code: 1, stdout: expect.stringMatching(/^seq 2: /) });
  });

  it('needs the pin', async () => {
    const { code, stderr } = await runChancery([
      ...['store', 'backup', '--set', `store.sqlite.path=${instance.storeFile}`],
      ...['--to', at('monday.db')],
    ]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/journal\.genesis/) });
  });

  it('backs up one head while another process appends', async () => {
    const args = [instance.storeFile, instance.keyFile, instance.genesis, 'load'];
    const appender = spawn(process.execPath, [APPEND_PROCESS, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let printed = '';
    appender.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      printed += chunk;
    });
    const positions = () =>
      printed
        .split('\n')
        .slice(0, -1)
        .map((line) => line.split(' '))
        .map(([seq, digest]) => ({ seq: Number(seq), digest: digest ?? '' }));
    const lastSeq = (): number => positions().at(-1)?.seq ?? 0;
    try {
      await eventually('it appends', () => lastSeq() > 100);
      const { code, stdout } = await run('backup', at('hot.db'), '--json');
      expect(code).toBe(0);
      const { head: copied, entries } = JSON.parse(stdout) as { head: Position; entries: number };
      expect(entries).toBe(copied.seq);
      await eventually('it went on', () => lastSeq() > copied.seq);
      expect(positions()).toContainEqual({ seq: copied.seq, digest: copied.digest });
      expect(await verifyFile(at('hot.db'), instance.genesis, { backup: true })).toMatchObject({
        ok: true,
        anchored: true,
        head: copied,
      });
    } finally {
      appender.kill('SIGKILL');
      await once(appender, 'close');
    }
  });

  it('says when the source has gone on during a copy', async () => {
    await writer.append('big', await aRevision(writer, 1, 20_000_000));
    const started = spawnChancery(['store', 'copy', '--config', instance.configFile, '--to', at('moved.db')]);
    await eventually('it has begun', () => existsSync(at('moved.db.partial')) || existsSync(at('moved.db')));
    let n = 0;
    while (started.child.exitCode === null) {
      n += 1;
      await writer.append(`late-${n}`, settings({ n }));
    }
    const { code, stderr } = await started.finished;
    const { code: again } = await run('copy', at('moved.db'));
    expect({ code, stderr, again }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/the source has gone on to seq \d+ meanwhile/),
      again: 0,
    });
    expect(await verifyFile(at('moved.db'), instance.genesis)).toMatchObject({
      head: await writer.store.journal.head(),
    });
  });

  it.each(['copy', 'backup'] as const)(
    'goes on after a %s that was killed, and leaves no file of the name before it is whole',
    async (command) => {
      for (let n = 0; n < 24; n += 1) {
        await writer.append(`big-${n}`, await aRevision(writer, n, 1_500_000), settings({ n }));
      }
      const to = at('killed.db');
      const args = ['store', command, '--config', instance.configFile, '--to', to];
      const left: number[] = [];
      for (let kill = 0; kill < 3; kill += 1) {
        const { child, finished } = spawnChancery(args);
        // a later kill lets it come further
        const least = kill * 4_000_000;
        await eventually('it is copying', () => child.exitCode !== null || sizeOf(`${to}.partial`) > least);
        child.kill('SIGKILL');
        await finished;
        expect(child.signalCode).toBe('SIGKILL');
        expect(existsSync(to)).toBe(false);
        left.push(sizeOf(`${to}.partial`));
      }
      expect(left.every((size) => size > 0)).toBe(true);
      const { code, stdout } = await run(command, to, '--json');
      expect(code).toBe(0);
      const { entries, copied } = JSON.parse(stdout) as { entries: number; copied: number };
      expect(entries).toBe(head.seq + 2 * 24);
      expect(copied).toBeLessThan(entries);
      const backup = command === 'backup';
      expect(await verifyFile(to, instance.genesis, { backup })).toMatchObject({
        ok: true,
        head: await writer.store.journal.head(),
      });
      expect(filesBeside('killed.db')).toEqual(['killed.db']);
    },
  );
});

/** of the file and its log */
function sizeOf(path: string): number {
  return [path, `${path}-wal`].reduce(
    (sum, each) => sum + (statSync(each, { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}
