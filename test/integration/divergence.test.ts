import { cp, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { initInstance as initDevelopment } from '../../src/cli/init-command.ts';
import { createClient } from '../../src/client/client.ts';
import { loadConfig } from '../../src/config/load.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { aCheckRequest, createCheckClient } from '../support/check-client.ts';
import { eventually } from '../support/eventually.ts';
import {
  exchangeToken,
  type Instance,
  initInstance,
  runChancery,
  type ServeProcess,
  startServe,
} from '../support/serve-process.ts';
import { createStackAdmin } from '../support/stack.ts';

const allows = (path: string): string =>
  `package envoy.authz\n\ndefault allow := false\n\nallow if input.attributes.request.http.path == "${path}"\n`;
const CLIENT = 'spiffe://mesh/client';

/** A process that has run on: what it knows beyond `older.db` is what an older copy of its store has lost. */
describe('another file in the place of the store', () => {
  let instance: Instance;
  let other: Instance;
  let folder: string;
  /** revoked in what is lost */
  let revoked: string;
  let admin: string;
  const at = (name: string): string => join(folder, name);
  const running: ServeProcess[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chancery-divergence-'));
    [instance, other] = await Promise.all([initInstance(), initInstance()]);
    await writeFile(at('empty.db'), '');
    const sets = [`store.sqlite.path=${at('dev.db')}`, `journal.signingKeyFile=${at('dev.pem')}`];
    await initDevelopment(loadConfig({ set: sets }, { unpinned: true }), true, silentLogger);
    await cp(other.storeFile, at('other.db'));

    let serve = await startServe(['--config', instance.configFile, ...localCopy('copy')]);
    const first = await exchangeToken(serve, instance.oneTimeToken);
    admin = first.token;
    const setup = createStackAdmin(first.client, { port: 9 });
    await setup.publishAndRelease('demo', allows('/older'));
    const match = { header: { 'if-none-match': '*' } } as const;
    await first.client.PUT('/v1/settings', { params: match, body: { defaultPolicy: 'demo' } });
    await setup.putService('orders', { hosts: ['orders.test'] });
    await setup.putGrant('orders', 'client', CLIENT);
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
    const issued = await first.client.POST('/v1/tokens', { body: { name: 'ci', expiresAt } });
    revoked = issued.data?.token ?? '';
    // closed, a store is one file
    await serve.stop();
    await cp(instance.storeFile, at('older.db'));

    serve = await startServe(['--config', instance.configFile, ...localCopy('copy')]);
    const client = createClient({ baseUrl: `http://127.0.0.1:${serve.ports.admin}`, token: admin });
    const later = createStackAdmin(client, { port: 9 });
    await later.publishAndRelease('demo', allows('/newer'));
    const path = { service: 'orders', id: 'client' };
    await client.DELETE('/v1/services/{service}/grants/{id}', {
      params: { path, header: { 'if-match': '*' } },
    });
    await client.DELETE('/v1/tokens/{id}', { params: { path: { id: issued.data?.id ?? '' } } });
    await later.putGrant('orders', 'given', CLIENT, ['*']);
    await serve.stop();
    await cp(instance.storeFile, at('newest.db'));
  }, 240_000);
  afterEach(async () => {
    await Promise.all(running.splice(0).map((serve) => serve.stop()));
  });
  afterAll(async () => {
    await Promise.all([instance, other].map((each) => each.remove()));
    await rm(folder, { recursive: true, force: true });
  });

  function localCopy(name: string): readonly string[] {
    return ['--set', `journal.localCopy=${join(folder, name)}`];
  }

  /** A store of its own with the newest content, and what names it on the command line. */
  async function aStore(name: string): Promise<{ file: string; args: readonly string[]; copy: string }> {
    const own = at(name);
    await mkdir(own);
    const file = join(own, 'journal.db');
    await cp(at('newest.db'), file);
    await cp(at('copy'), join(own, 'copy'), { recursive: true });
    const args = ['--config', instance.configFile, '--set', `store.sqlite.path=${file}`];
    return { file, copy: join(own, 'copy'), args: [...args, ...localCopy(join(name, 'copy'))] };
  }
  const serveOn = async (args: readonly string[]): Promise<ServeProcess> => {
    const serve = await startServe(args);
    running.push(serve);
    return serve;
  };
  /** by google.rpc.Code */
  const BARE: Readonly<Record<number, string>> = { 0: 'OK', 7: 'Forbidden' };
  /** `OK`, or the status that the client gets */
  const decision = async ({ ports }: ServeProcess, path: string): Promise<string> => {
    const client = createCheckClient(`127.0.0.1:${ports.authz}`);
    const answer = await client.check(aCheckRequest({ path })).finally(() => client.close());
    const code = answer.status?.code ?? 0;
    // a denial without a response of its own is what Envoy answers by itself
    return answer.denied_response?.status.code ?? BARE[code] ?? 'error';
  };
  /** a busy machine may be too late with one, which is a denial of another status */
  const expectDecisions = async (serve: ServeProcess, allowed: string, denied: string): Promise<void> => {
    await eventually(`${allowed} is allowed`, async () => (await decision(serve, allowed)) === 'OK');
    await eventually(`${denied} is denied by the policy`, async () => {
      const status = await decision(serve, denied);
      expect(status).not.toBe('OK');
      return status === 'Forbidden';
    });
  };
  const readiness = async ({ ports }: ServeProcess): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${ports.ops}/readyz`);
    return `${response.status} ${await response.text()}`;
  };
  const clientOf = ({ ports }: ServeProcess, token = admin) =>
    createClient({ baseUrl: `http://127.0.0.1:${ports.admin}`, token, maxAttempts: 1 });
  const grantsOf = async (serve: ServeProcess): Promise<readonly string[]> => {
    const path = { service: 'orders' };
    const { data } = await clientOf(serve).GET('/v1/services/{service}/grants', { params: { path } });
    return (data?.items ?? []).map(({ name }) => name);
  };
  const statusWith = async (serve: ServeProcess, token: string): Promise<number> =>
    (
      await fetch(`http://127.0.0.1:${serve.ports.admin}/v1/services`, {
        headers: { authorization: `Bearer ${token}` },
      })
    ).status;

  const FILES = [
    { what: 'an older copy', file: 'older.db', refusal: /store_diverged|ends before what was applied/ },
    { what: 'an empty file', file: 'empty.db', refusal: /not a store of Chancery \(store_mismatch\)/ },
    {
      what: 'the file of another instance',
      file: 'other.db',
      refusal: /\((store_mismatch|store_diverged)\)/,
    },
    {
      what: 'the file of a development instance',
      file: 'dev.db',
      refusal: /\((store_mismatch|store_diverged)\)/,
    },
  ];

  it.each(FILES)('stops a start when it is $what', async ({ file, refusal }) => {
    const { args, file: store } = await aStore(`start-${file}`);
    await cp(at(file), store);
    await rm(`${store}-inode`, { force: true });
    const { code, stderr } = await runChancery(['serve', ...args, ...FREE_PORTS]);
    expect(code).toBe(1);
    expect(stderr).toMatch(refusal);
  });

  it('stops a start without a local copy when it is the file of another instance', async () => {
    const { args, file: store } = await aStore('alone-other');
    await cp(at('other.db'), store);
    const { code, stderr } = await runChancery(['serve', ...args.slice(0, -2), ...FREE_PORTS]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/genesis is not the pinned one/),
    });
  });

  it('cannot be told from the store by a start without a local copy when it is an older copy', async () => {
    const { args, file } = await aStore('alone');
    await cp(at('older.db'), file);
    const serve = await serveOn(args.slice(0, -2));
    await expectDecisions(serve, '/older', '/newer');
  });

  it.each(FILES)('leaves a running process with its last good state when it is $what', async ({ file }) => {
    const { args, file: store } = await aStore(`running-${file}`);
    const serve = await serveOn(args);
    await rename(store, `${store}.away`);
    await cp(at(file), store);
    const text = await eventually('it is not ready', async () => {
      const answer = await readiness(serve);
      return answer.startsWith('503') && answer.includes('store_diverged') && answer;
    });
    expect(text).toMatch(/this replica keeps the state of 1\.\d+ sha256:.*`chancery store adopt`/);
    await expectDecisions(serve, '/newer', '/older');
    const header = { 'if-none-match': '*' } as const;
    const body = { subject: { spiffe: CLIENT }, operations: ['*'] };
    const params = { path: { service: 'orders', id: 'more' }, header };
    await expect(
      clientOf(serve).PUT('/v1/services/{service}/grants/{id}', { params, body }),
    ).rejects.toMatchObject({ status: 503, code: 'store_diverged' });
    expect(await grantsOf(serve)).toEqual(['given']);
    expect(serve.output()).toMatch(/the journal cannot be followed/);
  });

  it('is adopted: what was revoked in the lost part stays revoked, here and after a start', async () => {
    const { args, file, copy } = await aStore('adopted');
    const serve = await serveOn(args);
    await rename(file, `${file}.away`);
    await cp(at('older.db'), file);
    await eventually('it is diverged', async () => (await readiness(serve)).includes('store_diverged'));

    const adopt = ['store', 'adopt', ...args, '--lost-from', copy];
    const plan = await runChancery(adopt);
    expect(plan).toMatchObject({ code: 1, stderr: '' });
    expect(plan.stdout).toMatch(/^lost: \d+ entries, through 1\.\d+ sha256:/m);
    expect(plan.stdout).toMatch(/^ {2}\d+ \S+ registry\.grant\.put$/m);
    expect(plan.stdout).toMatch(/policies go back to the releases before seq \d+/);
    expect(plan.stdout).toMatch(/^ {2}registry\.grant\.delete grant\/orders\/client$/m);
    expect(await runChancery([...adopt, '--note', 'a drill', '--yes'])).toMatchObject({
      code: 0,
      stderr: '',
    });

    await eventually('it is ready', async () => (await readiness(serve)).startsWith('200'));
    await eventually('its release runs', async () => (await decision(serve, '/older')) === 'OK');
    const fresh = await serveOn([...args.slice(0, -2), ...localCopy('adopted/fresh')]);
    for (const each of [serve, fresh]) {
      expect(await grantsOf(each)).toEqual([]);
      expect(await statusWith(each, revoked)).toBe(401);
      expect(await statusWith(each, admin)).toBe(200);
      await expectDecisions(each, '/older', '/newer');
    }
    await createStackAdmin(clientOf(serve), { port: 9 }).putGrant('orders', 'client', CLIENT);
    await eventually('the other one has it', async () => (await grantsOf(fresh)).includes('client'));
    expect(await runChancery(['store', 'verify', ...args])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^consistent, anchored: \d+ entries, head 2\./m),
    });
  });

  it('is not adopted while nobody says what is lost, and not when nothing is', async () => {
    const { args, copy } = await aStore('refused');
    const unsaid = await runChancery(['store', 'adopt', ...args, '--yes']);
    expect({ code: unsaid.code, stderr: unsaid.stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/--lost-from/),
    });
    const nothing = await runChancery(['store', 'adopt', ...args, '--lost-from', copy, '--yes']);
    expect({ code: nothing.code, stderr: nothing.stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/nothing is lost/),
    });
  });
});

const FREE_PORTS = ['authz', 'control', 'admin', 'ops'].flatMap((name) => ['--set', `${name}.port=0`]);
