import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { openStore } from '../../src/store/open.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { startDyingAdmin } from '../support/dying-admin.ts';
import { eventually } from '../support/eventually.ts';
import {
  exchangeToken,
  type Instance,
  initInstance,
  runChancery,
  type ServeProcess,
  startServe,
} from '../support/serve-process.ts';

const ROUNDS = 1_000;
const MAX_DELAY_MS = 6;
const SHARED_KEYS = 20;
const POLICY = {
  modules: { 'policy.rego': 'package envoy.authz\n\nallow := true\n' },
  data: {},
  entrypoints: ['envoy/authz/allow'],
  smoke: [],
};

interface Answer {
  readonly status: number;
  readonly etag: string;
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any;
}

/** One call to the process that listens on `port`; rejects when it dies first. */
async function call(
  port: number,
  token: string,
  method: string,
  path: string,
  { body, headers = {} }: { body?: unknown; headers?: Readonly<Record<string, string>> } = {},
): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(30_000),
  });
  const text = await response.text();
  const etag = response.headers.get('etag') ?? '';
  return { status: response.status, etag, body: text === '' ? undefined : JSON.parse(text) };
}

/** mulberry32: a run can be repeated by its seed */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const service = (prefix: string) => ({
  hosts: ['race.example'],
  prefix,
  access: 'grants',
  endpoints: [{ address: '127.0.0.1', port: 9 }],
});

describe('two admin processes on one store', { timeout: 300_000 }, () => {
  let instance: Instance;
  const processes: ServeProcess[] = [];
  let token = '';
  const portOf = (index: number): number => processes[index]?.ports.admin ?? 0;

  beforeAll(async () => {
    instance = await initInstance();
    const config = JSON.parse(await readFile(instance.configFile, 'utf8')) as object;
    const admin = { port: 0, rateLimit: { requestsPerSecond: 100_000, burst: 100_000 } };
    await writeFile(instance.configFile, JSON.stringify({ ...config, roles: ['admin'], admin }));
    for (const _ of [0, 1]) processes.push(await startServe(['--config', instance.configFile]));
    const [first] = processes;
    if (first === undefined) throw new Error('no process was started');
    token = (await exchangeToken(first, instance.oneTimeToken)).token;
    await eventually('the other process knows the token', async () => {
      return (await call(portOf(1), token, 'GET', '/v1/services')).status === 200;
    });
  });
  afterAll(async () => {
    await Promise.all(processes.map((each) => each.stop()));
    await instance.remove();
  });

  /** the bodies of one kind of entry, as another connection reads them */
  const entriesOf = async (kind: string): Promise<readonly JsonObject[]> => {
    const store = await openStore({ sqlite: { path: instance.storeFile } }, silentLogger);
    const found: JsonObject[] = [];
    for (let after = 0; ; ) {
      const commits = await store.journal.read(after, 500);
      for (const { entry, body } of commits.flatMap(({ entries }) => entries)) {
        after = entry.seq;
        if (entry.kind === kind)
          found.push(JSON.parse(Buffer.from(body ?? []).toString('utf8')) as JsonObject);
      }
      if (commits.length === 0) break;
    }
    await store.close();
    return found;
  };

  it(`lose no update when they race ${ROUNDS} times on one object`, async () => {
    const path = '/v1/services/race';
    const seed = Number(process.env['CHANCERY_TEST_SEED'] ?? Date.now() % 2 ** 31);
    const random = createRandom(seed);
    const first = await call(portOf(0), token, 'PUT', path, {
      body: service('/start'),
      headers: { 'if-none-match': '*' },
    });
    expect(first.status).toBe(201);
    let etag = first.etag;
    const winners: string[] = ['/start'];
    const wins = [0, 0];
    let secondWon = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      // the second comes while the first is under way, at any point of it
      const order = random() < 0.5 ? [0, 1] : [1, 0];
      const delayMs = random() * MAX_DELAY_MS;
      const answers = await Promise.all(
        order.map(async (writer, place) => {
          if (place === 1) await sleep(delayMs);
          const body = service(`/w${writer}-${round}`);
          return {
            writer,
            ...(await call(portOf(writer), token, 'PUT', path, { body, headers: { 'if-match': etag } })),
          };
        }),
      );
      const won = answers.filter(({ status }) => status === 200);
      const lost = answers.filter(({ status }) => status === 412);
      expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 412]);
      const [winner, loser] = [won[0], lost[0]] as const;
      if (winner === undefined || loser === undefined) throw new Error('unreachable');
      wins[winner.writer] = (wins[winner.writer] ?? 0) + 1;
      if (winner.writer === order[1]) secondWon += 1;
      winners.push(winner.body.prefix);
      // who was refused reads what won, from its own process
      const seen = await call(portOf(loser.writer), token, 'GET', path);
      expect(seen.body).toEqual(winner.body);
      expect(seen.etag).toBe(winner.etag);
      etag = seen.etag;
    }
    console.log(JSON.stringify({ rounds: ROUNDS, seed, wins, secondWon }));
    expect(Math.min(...wins)).toBeGreaterThan(0);
    const stored = await entriesOf('registry.service.put');
    expect(stored.map(({ service }) => (service as { readonly prefix: string }).prefix)).toEqual(winners);
  });

  it('publish once what both are asked with the same Idempotency-Key at the same time', async () => {
    const published = await call(portOf(0), token, 'PUT', '/v1/policies/shared', {
      body: POLICY,
      headers: { 'if-none-match': '*' },
    });
    expect(published.status).toBe(201);
    const body = { policy: 'shared', revision: published.body.revision };
    for (let n = 0; n < SHARED_KEYS; n += 1) {
      const headers = { 'idempotency-key': `shared-${n}` };
      const answers = await Promise.all(
        [0, 1].map((writer) => call(portOf(writer), token, 'POST', '/v1/releases', { body, headers })),
      );
      expect(answers.map(({ status }) => status)).toEqual([201, 201]);
      expect(answers[0]?.body).toEqual(answers[1]?.body);
    }
    expect(await entriesOf('policy.release')).toHaveLength(SHARED_KEYS);
  });

  it.each([
    ['after', 'between commit and answer', 1],
    ['before', 'before the commit', 0],
  ] as const)('publish once though the first process was killed %s (%s)', async (when, _where, stored) => {
    const policy = `killed-${when}`;
    const published = await call(portOf(0), token, 'PUT', `/v1/policies/${policy}`, {
      body: POLICY,
      headers: { 'if-none-match': '*' },
    });
    const released = async () =>
      (await entriesOf('policy.release')).filter((release) => release['policy'] === policy);
    const body = { policy, revision: published.body.revision };
    const headers = { 'idempotency-key': `key-${when}` };

    const dying = await startDyingAdmin(instance.configFile, when);
    await expect(call(dying.port, token, 'POST', '/v1/releases', { body, headers })).rejects.toThrow();
    expect(await dying.ended).toBe('SIGKILL');
    expect(await released()).toHaveLength(stored);

    const retries = [];
    for (const writer of [0, 1, 0]) {
      retries.push(await call(portOf(writer), token, 'POST', '/v1/releases', { body, headers }));
    }
    expect(retries.map(({ status }) => status)).toEqual([201, 201, 201]);
    expect(new Set(retries.map((retry) => JSON.stringify(retry.body))).size).toBe(1);
    expect(await released()).toHaveLength(1);
    const live = await call(portOf(1), token, 'GET', '/v1/policies');
    expect(live.body.items).toContainEqual(
      expect.objectContaining({ name: policy, released: body.revision }),
    );
  });

  it.each([
    ['after', 1],
    ['before', 0],
  ] as const)('answer a PUT again whose process was killed %s the commit', async (when, stored) => {
    const cases = [
      {
        path: `/v1/policies/put-${when}`,
        body: POLICY,
        otherBody: { ...POLICY, data: { other: true } },
        kind: 'policy.revision',
        member: 'policy',
      },
      {
        path: `/v1/services/put-${when}`,
        body: service(`/put-${when}`),
        otherBody: service(`/other-${when}`),
        kind: 'registry.service.put',
        member: 'name',
      },
    ];
    for (const { path, body, otherBody, kind, member } of cases) {
      const made = async () => (await entriesOf(kind)).filter((each) => each[member] === `put-${when}`);
      const headers = { 'if-none-match': '*', 'idempotency-key': `put-${when}` };
      const dying = await startDyingAdmin(instance.configFile, when);
      await expect(call(dying.port, token, 'PUT', path, { body, headers })).rejects.toThrow();
      expect(await dying.ended).toBe('SIGKILL');
      expect(await made()).toHaveLength(stored);

      const retries = [];
      for (const writer of [0, 1, 0])
        retries.push(await call(portOf(writer), token, 'PUT', path, { body, headers }));
      expect(retries.map(({ status }) => status)).toEqual([201, 201, 201]);
      expect(new Set(retries.map((retry) => `${retry.etag} ${JSON.stringify(retry.body)}`)).size).toBe(1);
      expect(await made()).toHaveLength(1);
      const other = await call(portOf(1), token, 'PUT', path, { body: otherBody, headers });
      expect([other.status, other.body.code]).toEqual([422, 'idempotency_key_reused']);
    }
  });

  it('leave a journal that verifies', async () => {
    const { code, stdout } = await runChancery(['store', 'verify', '--config', instance.configFile]);
    expect(stdout).not.toBe('');
    expect(code).toBe(0);
  });
});
