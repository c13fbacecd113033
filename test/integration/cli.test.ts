import { existsSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createClient } from '../../src/client/client.ts';
import {
  exchangeToken,
  type Instance,
  initInstance,
  runChancery,
  type ServeProcess,
  startServe,
} from '../support/serve-process.ts';

const QUICKSTART = fileURLToPath(new URL('../../policies/quickstart', import.meta.url));
const FREE_PORTS = ['authz', 'control', 'admin', 'ops'].flatMap((name) => set(`${name}.port=0`));
const ANOTHER_DIGEST = `sha256:${'0'.repeat(64)}`;

function set(...assignments: readonly string[]): readonly string[] {
  return assignments.flatMap((assignment) => ['--set', assignment]);
}

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);

describe('chancery init', () => {
  let folder: string;
  let store: readonly string[];
  const at = (name: string): string => join(folder, name);
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chancery-init-'));
    store = set(`store.sqlite.path=${at('journal.db')}`, `journal.signingKeyFile=${at('key.pem')}`);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('prints the pin, and keeps key, store and token to their owner', async () => {
    const { code, stdout, stderr } = await runChancery(['init', ...store, '--token-file', at('token')]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^journal\.genesis: sha256:[0-9a-f]{64}\n$/);
    expect(['key.pem', 'journal.db', 'token'].map((name) => modeOf(at(name)))).toEqual(['600', '600', '600']);
    expect(readFileSync(at('key.pem'), 'utf8')).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    expect([readFileSync(at('key.pem.secrets')).length, modeOf(at('key.pem.secrets'))]).toEqual([32, '600']);
    expect(readFileSync(at('token'), 'utf8').trim()).toMatch(/^chy_[0-9a-f]{18}\.[\w-]{43}$/);
  });

  it('refuses a name of the instance that could not stand in the names of its nodes', async () => {
    const other = set(`store.sqlite.path=${at('other.db')}`, `journal.signingKeyFile=${at('other.pem')}`);
    const { code, stderr } = await runChancery(['init', ...other, ...set('journal.instance=Prod EU')]);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/^chancery: journal\.instance of a new journal/),
    ]);
    expect(['other.db', 'other.pem'].map((name) => existsSync(at(name)))).toEqual([false, false]);
  });

  it.each([
    ['the same store and key', 'key.pem'],
    ['the same store and another key', 'key-2.pem'],
  ])('refuses to run again on %s, and changes nothing', async (_, key) => {
    const before = [readFileSync(at('key.pem')), readFileSync(at('journal.db'))];
    const again = [...store, ...set(`journal.signingKeyFile=${at(key)}`)];
    const { code, stdout, stderr } = await runChancery(['init', ...again]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe('chancery: the journal is not empty (already_exists)\n');
    expect([readFileSync(at('key.pem')), readFileSync(at('journal.db'))]).toEqual(before);
    expect(existsSync(at('key-2.pem'))).toBe(false);
  });

  it('refuses to write over a key that is there, whatever the store', async () => {
    const before = readFileSync(at('key.pem'));
    const { code, stderr } = await runChancery(['init', ...store, ...set(`store.sqlite.path=${at('2.db')}`)]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'chancery: the signing key file exists already (already_exists)\n',
    });
    expect(readFileSync(at('key.pem'))).toEqual(before);
  });
});

describe('chancery serve', () => {
  let instance: Instance;
  let serve: ServeProcess | undefined;
  let taken: Server;
  let takenPort: number;
  let store: readonly string[];
  beforeAll(async () => {
    instance = await initInstance();
    store = set(
      `store.sqlite.path=${instance.storeFile}`,
      `journal.signingKeyFile=${instance.keyFile}`,
      'log.level=error',
    );
    taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    takenPort = (taken.address() as AddressInfo).port;
  });
  afterEach(() => serve?.kill());
  afterAll(async () => {
    await new Promise((resolve) => taken?.close(resolve));
    await instance?.remove();
  });

  /** Runs `serve` with a configuration that it must refuse. */
  const refused = async (...assignments: readonly string[]) => {
    const { code, stdout, stderr } = await runChancery(['serve', ...FREE_PORTS, ...set(...assignments)]);
    expect(stdout).toBe('');
    expect(stderr).not.toContain('Chancery is ready');
    return { code, stderr };
  };
  const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1) ?? '';

  it('demands the pin of genesis when there is a store', async () => {
    const { code, stderr } = await runChancery(['serve', ...FREE_PORTS, ...store]);
    expect(code).toBe(2);
    expect(stderr).toBe(
      'chancery: the configuration is not valid:\n' +
        'chancery:   - /journal/genesis: with a store it is needed (`chancery init` prints it)\n',
    );
  });

  it.each([
    ['another pin', `journal.genesis=${ANOTHER_DIGEST}`, /genesis/],
    ['another instance', 'journal.instance=another', /instance/],
    ['another environment', 'journal.environment=another', /environment/],
    ['no store where the file should be', 'store.sqlite.path=MISSING', /there is no store/],
    ['another file than a store', 'store.sqlite.path=OTHER_FILE', /not a store/],
  ])('stops with store_mismatch at %s', async (_, assignment, message) => {
    const missing = join(instance.folder, 'missing.db');
    const otherFile = join(instance.folder, 'other.db');
    await writeFile(otherFile, '');
    const changed = assignment.replace('MISSING', missing).replace('OTHER_FILE', otherFile);
    const args = ['--config', instance.configFile, ...FREE_PORTS, ...set(changed)];
    const { code, stderr } = await runChancery(['serve', ...args]);
    expect(code).toBe(1);
    expect(lastLine(stderr)).toMatch(/^chancery: .*\(store_mismatch\)$/);
    expect(lastLine(stderr)).toMatch(message);
    expect(stderr).not.toContain('Chancery is ready');
    expect(existsSync(missing)).toBe(false);
    expect(readFileSync(otherFile, 'utf8')).toBe('');
  });

  it('refuses every address that is not loopback', async () => {
    const names = ['authz', 'control', 'admin', 'ops'];
    const { code, stderr } = await refused(...names.map((name) => `${name}.address=0.0.0.0`));
    expect(code).toBe(2);
    for (const name of names) {
      expect(stderr).toContain(`  - /${name}/address: 0.0.0.0 is not a loopback address`);
    }
  });

  it('tells all that is wrong with a configuration at once', async () => {
    const file = join(instance.folder, 'wrong.yaml');
    await writeFile(file, 'policy: { maxMemoryMiB: lots }\nadmin: { adress: 127.0.0.1 }\nops: 5\n');
    const wrong = set('authz.address=0.0.0.0', 'control.port=70000', 'colour=red', 'no-assignment');
    const path = set(`store.sqlite.path=${instance.storeFile}`);
    const { code, stderr } = await runChancery(['serve', '--config', file, ...wrong, ...path]);
    const problems = stderr.trimEnd().split('\n').slice(1);
    expect(code).toBe(2);
    expect(problems).toHaveLength(9);
    for (const place of [
      ...[
        '/policy/maxMemoryMiB:',
        '/admin/adress:',
        '/ops:',
        '/authz/address:',
        '/control/port:',
        '/colour:',
      ],
      ...['--set no-assignment:', '/journal/genesis:', '/journal/signingKeyFile:'],
    ]) {
      expect(problems.filter((problem) => problem.startsWith(`chancery:   - ${place}`))).toHaveLength(1);
    }
  });

  it.each(['authz', 'control', 'admin', 'ops'])('says which port of %s is taken', async (name) => {
    const port = `${name}.port=${takenPort}`;
    const args = ['--config', instance.configFile, ...FREE_PORTS, ...set('log.level=error', port)];
    expect(await runChancery(['serve', ...args])).toEqual({
      code: 1,
      stdout: '',
      stderr: `chancery: cannot listen on 127.0.0.1:${takenPort}: the port is taken (internal)\n`,
    });
  });

  it('says what is wrong with a policy file, with file, line and column', async () => {
    const file = join(instance.folder, 'broken.rego');
    await writeFile(file, 'package envoy.authz\n\nallow if { input.x = }\n');
    const { code, stderr } = await runChancery(['serve', file, ...FREE_PORTS, ...set('log.level=error')]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^chancery: broken\.rego:3:\d+: .+$/m);
  });

  it.each([
    ['a URL in the open', ['--url', 'http://192.0.2.1:1'], /--url is https/],
    ['no token', ['--url', 'https://127.0.0.1:1'], /--token-file is needed/],
    ['half a pin', ['--url', 'https://127.0.0.1:1', '--ca-fingerprint', 'sha256:00'], /--ca-fingerprint is/],
    ['no URL', [], /required option '--url/],
  ])('ends with 2 when a node is to be enrolled with %s', async (_, flags, message) => {
    const { code, stderr } = await runChancery([
      ...['node', 'enrol', '--out', join(instance.folder, 'node')],
      ...flags,
    ]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(message) });
  });

  it('says where in the state section an object is refused', async () => {
    const file = join(instance.folder, 'state.yaml');
    await writeFile(file, 'state: { grants: { nobody: { app: { subject: {}, operations: ["*"] } } } }\n');
    const args = ['--config', file, ...FREE_PORTS, ...set('log.level=error')];
    const { code, stderr } = await runChancery(['serve', ...args]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^chancery: \/state\/grants\/nobody\/app.*: .+$/m);
  });

  it('takes no policy files when it has a store', async () => {
    const { code, stderr } = await runChancery([
      ...['serve', QUICKSTART, '--config', instance.configFile],
      ...FREE_PORTS,
    ]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/published over REST/);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('ends with 0 after %s, and frees its ports', async (signal) => {
    serve = await startServe(['--config', instance.configFile]);
    const { ports } = serve;
    expect(await statusOf(ports.ops, '/readyz')).toBe(200);
    expect(await serve.stop(signal)).toBe(0);
    for (const port of Object.values(ports)) {
      await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow('fetch failed');
    }
  });

  it('has no admin REST on an in-memory journal without a token', async () => {
    serve = await startServe([QUICKSTART]);
    expect(serve.ports).toMatchObject({ admin: 0, authz: expect.any(Number) });
    expect(await statusOf(serve.ports.ops, '/readyz')).toBe(200);
    expect(serve.output()).not.toContain('"role":"admin"');
  });
});

describe('the one-time token of chancery init', () => {
  let instance: Instance;
  let serve: ServeProcess;
  beforeAll(async () => {
    instance = await initInstance();
    serve = await startServe(['--config', instance.configFile, ...set('log.level=debug')]);
  });
  afterAll(async () => {
    await serve?.kill();
    await instance?.remove();
  });

  it('is good for one exchange and nothing else, also after a restart, and is in no log', async () => {
    const connect = (token: string) =>
      createClient({ baseUrl: `http://127.0.0.1:${serve.ports.admin}`, token, maxAttempts: 1 });
    const body = { name: 'second', expiresAt: new Date(Date.now() + 60_000).toISOString() };
    const exchangeAgain = () => connect(instance.oneTimeToken).POST('/v1/tokens', { body });

    await expect(connect(instance.oneTimeToken).GET('/v1/services')).rejects.toMatchObject({ status: 403 });
    const { token } = await exchangeToken(serve, instance.oneTimeToken);
    expect((await connect(token).GET('/v1/services')).data).toEqual({ items: [] });
    await expect(exchangeAgain()).rejects.toMatchObject({ status: 401, code: 'credential_revoked' });
    await expect(connect(`${token.slice(0, -4)}AAAA`).GET('/v1/services')).rejects.toMatchObject({
      status: 401,
    });
    const journal = JSON.stringify((await connect(token).GET('/v1/journal')).data);

    const outputs = [serve.output()];
    expect(await serve.stop()).toBe(0);
    serve = await startServe(['--config', instance.configFile, ...set('log.level=debug')]);
    await expect(exchangeAgain()).rejects.toMatchObject({ status: 401, code: 'credential_revoked' });
    expect((await connect(token).GET('/v1/services')).data).toEqual({ items: [] });
    outputs.push(serve.output());

    for (const text of [...outputs, journal]) {
      expect(text.length).toBeGreaterThan(100);
      for (const secret of [instance.oneTimeToken, token].flatMap((it) => [it, it.split('.')[1]!])) {
        expect(text).not.toContain(secret);
      }
    }
  });
});

describe('chancery store verify', () => {
  let instance: Instance;
  beforeAll(async () => {
    instance = await initInstance();
  });
  afterAll(() => instance?.remove());
  const verify = async (...more: readonly string[]) => {
    const { code, stdout } = await runChancery(['store', 'verify', '--config', instance.configFile, ...more]);
    return { code, stdout };
  };

  it('ends with 0 when the chain goes back to the pinned genesis', async () => {
    expect(await verify()).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^consistent, anchored: 3 entries, head 1\.3 sha256:[0-9a-f]{64}\n$/),
    });
  });

  it('does not end with 0 when nothing says which genesis it should be', async () => {
    const unpinned = set(`store.sqlite.path=${instance.storeFile}`);
    const { code, stdout } = await runChancery(['store', 'verify', ...unpinned]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^consistent, not anchored /);
  });

  it('does not end with 0 when genesis is not the pinned one', async () => {
    const { code, stdout } = await verify(...set(`journal.genesis=${ANOTHER_DIGEST}`));
    expect(code).toBe(1);
    expect(stdout).toMatch(/^seq 1: .*genesis.*\nbroken: /);
  });

  it('names the entry that was changed', async () => {
    const database = new DatabaseSync(instance.storeFile);
    database.exec("UPDATE entry SET actor = 'somebody' WHERE seq = 2");
    database.close();
    const { code, stdout } = await verify();
    expect(code).toBe(1);
    expect(stdout).toMatch(/^seq 2: .+\nbroken: /);
  });
});

async function statusOf(port: number, path: string): Promise<number> {
  return (await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(10_000) })).status;
}
