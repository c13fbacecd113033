import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AdminClient, createClient } from '../../src/client/client.ts';
import { eventually } from '../support/eventually.ts';
import {
  exchangeToken,
  type Finished,
  type Instance,
  initInstance,
  runChancery,
  type ServeProcess,
  startServe,
} from '../support/serve-process.ts';
import { aRevision, openWriter, verifyFile } from '../support/store-content.ts';

const ARCHIVE_PROCESS = fileURLToPath(new URL('../support/archive-process.ts', import.meta.url));
const inAnHour = (): string => new Date(Date.now() + 3_600_000).toISOString();

describe('chancery store archive', () => {
  let instance: Instance;
  let serve: ServeProcess | undefined;
  let token: string;
  /** of the newest checkpoint */
  let checkpointSeq: number;
  let headSeq: number;
  const at = (name: string): string => join(instance.folder, name);

  /** A revision that refers to blobs, tokens, a checkpoint, and an entry after it; nobody serves. */
  beforeEach(async () => {
    instance = await initInstance();
    const writer = await openWriter(instance);
    await writer.append('revision', await aRevision(writer, 1, 1_000));
    await writer.close();
    serve = await startServe(withConfig('--set', 'journal.checkpointEvery=3'));
    const { client, ...exchanged } = await exchangeToken(serve, instance.oneTimeToken);
    token = exchanged.token;
    for (const name of ['a', 'b', 'c']) await issue(client, name);
    await eventually('a checkpoint', () => serve?.output().includes('a checkpoint is written'));
    expect(await serve?.stop()).toBe(0);
    const again = await openWriter(instance);
    headSeq = (await again.append('last', { kind: 'settings.put', body: { settings: {} } })).seq;
    checkpointSeq = (await again.store.checkpoints.latest())[0]?.position.seq ?? 0;
    await again.close();
    expect(checkpointSeq).toBeGreaterThan(3);
  });
  afterEach(async () => {
    await serve?.kill();
    await instance?.remove();
  });

  const withConfig = (...more: readonly string[]) => ['--config', instance.configFile, ...more];
  const store = (command: string, ...more: readonly string[]): Promise<Finished> =>
    runChancery(['store', command, ...withConfig(...more)]);
  const archive = (...more: readonly string[]): Promise<Finished> =>
    store('archive', '--to', at('segments'), ...more);
  const issue = async (client: AdminClient, name: string): Promise<void> => {
    const { response } = await client.POST('/v1/tokens', {
      body: { name, scopes: ['registry:read'], expiresAt: inAnHour() },
    });
    expect(response.status).toBe(201);
  };
  function restart(): { readonly client: AdminClient } {
    const baseUrl = `http://127.0.0.1:${serve?.ports.admin}`;
    return { client: createClient({ baseUrl, token, maxAttempts: 1 }) };
  }

  it('says what would leave, and with --yes leaves a store that starts, answers and is verified as before', async () => {
    const said = await archive('--before', String(headSeq), '--force');
    expect(said).toMatchObject({ code: 1, stderr: '' });
    expect(said.stdout).toMatch(
      new RegExp(`^${checkpointSeq} entries leave the store: seq 1 to ${checkpointSeq},`),
    );
    expect(existsSync(at('segments'))).toBe(false);
    expect(await verifyFile(instance.storeFile, instance.genesis)).toMatchObject({ ok: true, from: 0 });

    const done = await archive('--before', inAnHour(), '--force', '--yes');
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(done.stdout).toContain(`the journal begins with seq ${checkpointSeq + 1}`);
    const short = await store('verify');
    expect(short.stdout).toMatch(
      new RegExp(`^consistent, anchored from the checkpoint at seq ${checkpointSeq}: `),
    );
    const full = await store('verify', '--segments', at('segments'));
    expect(full).toMatchObject({ code: 0, stderr: '' });
    expect(full.stdout).toMatch(
      new RegExp(`^consistent, anchored: ${headSeq} entries, head 1\\.${headSeq} `),
    );

    serve = await startServe(withConfig());
    expect(serve.output()).toContain('the start is from a checkpoint of the store');
    const { client } = restart();
    const { data: tokens } = await client.GET('/v1/tokens');
    expect(tokens?.items.map(({ name }) => name)).toEqual(expect.arrayContaining(['a', 'b', 'c']));
    const { data } = await client.GET('/v1/journal');
    expect(data?.first).toBe(checkpointSeq + 1);
    expect(data?.entries.map(({ seq }) => seq)[0]).toBe(checkpointSeq + 1);
    const archived = client.GET('/v1/journal', { params: { query: { after: checkpointSeq - 1 } } });
    await expect(archived).rejects.toMatchObject({
      code: 'not_found',
      detail: `the entries up to seq ${checkpointSeq} were archived`,
    });
    await issue(client, 'd');
    expect(await serve.stop()).toBe(0);
    expect(await verifyFile(instance.storeFile, instance.genesis)).toMatchObject({ ok: true });
  });

  it('keeps what is younger than a day, and what is beyond the last checkpoint', async () => {
    const young = await archive('--before', String(headSeq), '--yes');
    expect(young).toMatchObject({ code: 1, stderr: expect.stringMatching(/younger than 24 hours/) });
    const early = await archive('--before', '1', '--force', '--yes');
    expect(early).toMatchObject({ code: 1, stderr: expect.stringMatching(/beyond --before/) });
    expect(await archive('--before', 'yesterday')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/--before is a seq/),
    });
    expect(await verifyFile(instance.storeFile, instance.genesis)).toMatchObject({
      from: 0,
      entries: headSeq,
    });
  });

  it.each(['while it writes', 'before it deletes'])('goes on when it was killed %s', async (when) => {
    const args = [instance.storeFile, instance.genesis, instance.keyFile, at('segments'), when];
    const child = spawn(process.execPath, [ARCHIVE_PROCESS, ...args], { stdio: 'inherit' });
    await once(child, 'close');
    expect(child.signalCode).toBe('SIGKILL');
    expect(await verifyFile(instance.storeFile, instance.genesis)).toMatchObject({
      ok: true,
      from: 0,
      entries: headSeq,
    });
    const isWritten = readdirSync(at('segments')).some((name) => name.endsWith('.json'));
    expect(isWritten).toBe(when === 'before it deletes');
    expect(await archive('--before', String(headSeq), '--force', '--yes')).toMatchObject({ code: 0 });
    const full = await store('verify', '--segments', at('segments'));
    expect(full).toMatchObject({ code: 0, stdout: expect.stringContaining(`anchored: ${headSeq} entries`) });
  });

  it('is backed up, collected and restored with what it begins with', async () => {
    await archive('--before', String(headSeq), '--force', '--yes');
    const collected = await store('collect', '--json');
    expect(JSON.parse(collected.stdout)).toMatchObject({ blobs: 0 });
    expect(await store('backup', '--to', at('backup.db'))).toMatchObject({ code: 0, stderr: '' });
    const restored = ['--set', `store.sqlite.path=${at('restored.db')}`];
    expect(await store('restore', '--from', at('backup.db'), ...restored)).toMatchObject({ code: 0 });
    expect(await verifyFile(at('restored.db'), instance.genesis)).toMatchObject({
      ok: true,
      anchored: true,
      from: checkpointSeq,
      head: { epoch: 2, seq: headSeq + 1 },
    });
    const full = await store('verify', '--segments', at('segments'), ...restored);
    expect(full).toMatchObject({ code: 0, stdout: expect.stringMatching(/^consistent, anchored: /) });
    serve = await startServe(withConfig(...restored));
    const { data } = await restart().client.GET('/v1/tokens');
    expect(data?.items.map(({ name }) => name)).toEqual(expect.arrayContaining(['a', 'b', 'c']));
  });
});
