import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigurationError, loadConfig } from '../../../src/config/load.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'chancery-config-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(text: string): string {
  const path = join(folder, 'chancery.yaml');
  writeFileSync(path, text);
  return path;
}

function problemsOf(load: () => unknown): readonly string[] {
  try {
    load();
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
  return [];
}

describe('loadConfig', () => {
  it('gives every role on loopback ports when nothing is said', () => {
    const config = loadConfig();
    expect(config.roles).toEqual(['admin', 'authz', 'control']);
    expect(
      [config.authz, config.control, config.admin, config.ops].map(
        ({ address, port }) => `${address}:${port}`,
      ),
    ).toEqual(['127.0.0.1:9191', '127.0.0.1:18000', '127.0.0.1:8181', '127.0.0.1:8182']);
  });

  it('takes a Unix socket for this machine, with an absolute path and without TLS', () => {
    expect(loadConfig({ set: ['authz.address=unix:/run/authz.sock'] }).authz.address).toBe(
      'unix:/run/authz.sock',
    );
    const set = [
      'authz.address=unix:authz.sock',
      'authz.tls.certificateFile=a',
      'authz.tls.privateKeyFile=b',
    ];
    expect(problemsOf(() => loadConfig({ set }))).toEqual([
      '/authz/address: the path of a Unix socket begins with / and has at most 107 bytes',
      '/authz/tls: a Unix socket has none',
    ]);
  });

  it.each([
    ['admin.address=unix:/s', '/admin/address: this port cannot be a Unix socket'],
    ['ops.address=unix:/s', '/ops/address: this port cannot be a Unix socket'],
    [
      `authz.address=unix:/${'ä'.repeat(60)}`,
      '/authz/address: the path of a Unix socket begins with / and has at most 107 bytes',
    ],
    [
      'authz.address=unix:/s control.address=unix:/s',
      '/control/address: is the Unix socket of authz already',
    ],
    [
      'authz.address=unix:/s authz.announce.address=10.0.0.1',
      '/authz/announce/port: is needed, since a Unix socket has none',
    ],
    ['control.socketMode=0600', '/control/socketMode: means nothing without a Unix socket'],
    ...['example.test', '0.0.0.0', '::', 'fe80::1%eth0', 'unix:/s'].map((address) => [
      `authz.announce.address=${address}`,
      '/authz/announce/address: must be the IP address of this process, without a zone',
    ]),
    [
      'control.address=localhost control.tls.enrolledNodes=true control.tls.certificateFile=/c control.tls.privateKeyFile=/k',
      '/control/address: must be an IP address, or unix:/path',
    ],
  ])('refuses %s, to which nobody could come', (set, problem) => {
    expect(problemsOf(() => loadConfig({ set: set?.split(' ') ?? [] }))).toEqual([problem]);
  });

  it('tells who may come to a listener: each kind of address, with and without TLS and a word aloud', () => {
    const own = ['certificateFile=/c', 'privateKeyFile=/k'];
    const tls = { none: [], own, verified: [...own, 'enrolledNodes=true'] };
    const opened: string[] = [];
    for (const listener of ['authz', 'control', 'admin', 'ops']) {
      for (const [kind, address] of Object.entries({ near: '127.0.0.1', far: '10.0.0.1', file: 'unix:/s' })) {
        for (const [name, members] of Object.entries(tls)) {
          for (const aloud of [false, true]) {
            const set = members.map((member) => `${listener}.tls.${member}`);
            if (aloud) set.push(`${listener}.insecure=true`);
            const problems = problemsOf(() =>
              loadConfig({ set: [...set, `${listener}.address=${address}`] }),
            );
            if (problems.length === 0) opened.push(`${listener} ${kind} ${name}${aloud ? ' aloud' : ''}`);
          }
        }
      }
    }
    const forNodes = (listener: string): string[] =>
      [
        ...['none', 'none aloud', 'own', 'own aloud', 'verified', 'verified aloud'].map(
          (how) => `near ${how}`,
        ),
        ...['none aloud', 'own aloud', 'verified', 'verified aloud'].map((how) => `far ${how}`),
        ...['none', 'none aloud'].map((how) => `file ${how}`),
      ].map((rest) => `${listener} ${rest}`);
    expect(opened).toEqual([
      ...forNodes('authz'),
      ...forNodes('control'),
      ...['near none', 'near none aloud', 'near own', 'near own aloud'].map((rest) => `admin ${rest}`),
      ...['far none aloud', 'far own', 'far own aloud'].map((rest) => `admin ${rest}`),
      ...['near none', 'near none aloud', 'far none aloud'].map((rest) => `ops ${rest}`),
    ]);
  });

  it('takes the file, then the environment, then --set', () => {
    const file = fileOf('admin: {port: 1, maxConnections: 2}\nops: {port: 3}\n');
    const config = loadConfig({
      file,
      env: { CHANCERY_ADMIN__PORT: '4', CHANCERY_OPS__PORT: '5' },
      set: ['ops.port=6'],
    });
    expect([config.admin.port, config.admin.maxConnections, config.ops.port]).toEqual([4, 2, 6]);
  });

  it('finds a camel-case key by its environment name', () => {
    const config = loadConfig({ env: { CHANCERY_JOURNAL__POLL_MS: '100', HOME: '/nowhere' } });
    expect(config.journal.pollMs).toBe(100);
  });

  it('tells all errors at once, each with its place', () => {
    const file = fileOf('admin: {prot: 1}\n');
    expect(
      problemsOf(() =>
        loadConfig({ file, env: { CHANCERY_NO__SUCH: '1' }, set: ['ops.port=70000', 'nonsense'] }),
      ),
    ).toEqual([
      'CHANCERY_NO__SUCH: there is no such setting',
      '--set nonsense: write path=value',
      '/admin/prot: there is no such setting',
      '/ops/port: must be <= 65535',
    ]);
  });

  it('does not stop at a handful of errors', () => {
    const set = Array.from({ length: 20 }, (_, index) => `admin.unknown${index}=1`);
    expect(problemsOf(() => loadConfig({ set }))).toHaveLength(20);
  });

  it('refuses an address that others can reach, on each listener', () => {
    const set = ['authz', 'control', 'admin', 'ops'].map((listener) => `${listener}.address=0.0.0.0`);
    expect(problemsOf(() => loadConfig({ set }))).toHaveLength(4);
    expect(problemsOf(() => loadConfig({ set: ['admin.address=localhost'] }))).toHaveLength(1);
    expect(loadConfig({ set: ['admin.address=::1'] }).admin.address).toBe('::1');
  });

  it('lets others reach a gRPC port that verifies client certificates, and a REST port with TLS', () => {
    const own = ['certificateFile=/c', 'privateKeyFile=/k'];
    const tls = (listener: string, ...more: string[]): string[] => [
      `${listener}.address=0.0.0.0`,
      ...[...own, ...more].map((assignment) => `${listener}.tls.${assignment}`),
    ];
    expect(problemsOf(() => loadConfig({ set: tls('authz', 'clientCaFile=/ca') }))).toEqual([]);
    expect(problemsOf(() => loadConfig({ set: tls('authz', 'enrolledNodes=true') }))).toEqual([]);
    expect(problemsOf(() => loadConfig({ set: tls('authz', 'enrolledNodes=false') }))).toHaveLength(1);
    expect(problemsOf(() => loadConfig({ set: tls('admin') }))).toEqual([]);
    expect(problemsOf(() => loadConfig({ set: tls('control') }))).toEqual([
      '/control/address: 0.0.0.0 is not a loopback address; it needs verified client certificates ' +
        '(`tls.enrolledNodes` or `tls.clientCaFile`), or `insecure: true` to say it aloud',
    ]);
  });

  it('lets others reach a port without TLS only when the file says it aloud', () => {
    const set = ['authz', 'control', 'admin', 'ops'].map((listener) => `${listener}.address=0.0.0.0`);
    const aloud = fileOf(
      ['authz', 'control', 'admin', 'ops'].map((listener) => `${listener}: {insecure: true}\n`).join(''),
    );
    expect(loadConfig({ file: aloud, set }).admin.insecure).toBe(true);
    const quiet = fileOf('ops: {insecure: false}\n');
    expect(problemsOf(() => loadConfig({ file: quiet, set }))).toHaveLength(4);
  });

  it('refuses a trust domain that nothing could be compared with, and a key without a certificate', () => {
    const file = fileOf('control: {tls: {privateKeyFile: /k, trustDomain: example.test}}\n');
    expect(problemsOf(() => loadConfig({ file }))).toEqual([
      '/control/tls: must have required properties certificateFile',
      '/control/tls/trustDomain: means nothing without clientCaFile',
    ]);
  });

  it('wants the pin and the signing key with a store, except to begin or to verify one', () => {
    const set = ['store.sqlite.path=/var/lib/chancery/journal.db'];
    expect(problemsOf(() => loadConfig({ set })).map((problem) => problem.split(':')[0])).toEqual([
      '/journal/genesis',
      '/journal/signingKeyFile',
    ]);
    expect(loadConfig({ set }, { unpinned: true }).store?.sqlite.path).toBe('/var/lib/chancery/journal.db');
  });

  it('refuses `state` beside a store, whose journal holds it', () => {
    const file = fileOf('state: {settings: {defaultPolicy: a}}\n');
    const set = [
      'store.sqlite.path=/x',
      'journal.signingKeyFile=/k',
      `journal.genesis=sha256:${'a'.repeat(64)}`,
    ];
    expect(problemsOf(() => loadConfig({ file, set }))).toEqual([
      '/state: is for `serve` without a store only',
    ]);
  });

  it('turns a sink of the decision log on by its section, and refuses what could not work or would tell a secret', () => {
    const file = fileOf(
      'audit: {console: {}, http: {url: "https://logs.test", tokenFile: t, whenFull: block}}\n',
    );
    const { audit } = loadConfig({ file });
    expect([audit.console?.whenFull, audit.http?.whenFull, audit.file]).toEqual(['drop', 'block', undefined]);
    const problems = (set: readonly string[]) =>
      problemsOf(() => loadConfig({ set })).map((each) => each.split(':')[0]);
    expect(problems(['audit.otlp.whenFull=drop'])).toEqual(['/audit/otlp']);
    expect(problems(['audit.http.url=http://logs.test', 'audit.http.tokenFile=t'])).toEqual([
      '/audit/http/tokenFile',
    ]);
    expect(problems(['telemetry.otlp.url=http://otel.test', 'telemetry.otlp.headersFile=h'])).toEqual([
      '/telemetry/otlp/headersFile',
    ]);
    const withToken = (host: string) => problems([`audit.http.url=http://${host}`, 'audit.http.tokenFile=t']);
    expect(['127.0.0.1:80', '[::1]:80'].flatMap(withToken)).toEqual([]);
    // a name is never loopback: what it resolves to is not in our hands
    expect(withToken('localhost')).toEqual(['/audit/http/tokenFile']);
  });

  it('is frozen to its depth', () => {
    const config = loadConfig();
    expect(() => Object.assign(config.admin, { port: 1 })).toThrow(TypeError);
  });

  it('says so when the file cannot be read or is not YAML', () => {
    expect(problemsOf(() => loadConfig({ file: join(folder, 'missing.yaml') }))[0]).toMatch(/missing\.yaml/);
    expect(problemsOf(() => loadConfig({ file: fileOf('a: [1\n') }))[0]).toMatch(/chancery\.yaml/);
  });
});
