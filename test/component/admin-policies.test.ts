import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AdminHarness, createTestToolchain, startAdmin } from '../support/admin-server.ts';

const CREATE = { 'if-none-match': '*' };
const source = (rule: string) => ({
  modules: { 'policy.rego': `package envoy.authz\n\nallow := ${rule}\n` },
  data: {},
  entrypoints: ['envoy/authz/allow'],
  smoke: [],
});

const toolchain = createTestToolchain();
let admin: AdminHarness;
beforeEach(async () => {
  admin = await startAdmin({ toolchain });
});
afterEach(() => admin.close());
afterAll(() => toolchain.close());

const publish = (rule: string, headers: Record<string, string> = CREATE) =>
  admin.call('PUT', '/v1/policies/demo', { body: source(rule), headers });
const release = (body: unknown, headers: Record<string, string> = {}) =>
  admin.call('POST', '/v1/releases', { body, headers });

describe('a policy', () => {
  it('is published, read, listed and replaced; its revisions stay', async () => {
    const first = await publish('true');
    expect(first.status).toBe(201);
    const read = await admin.call('GET', '/v1/policies/demo');
    expect(read.body).toMatchObject({ name: 'demo', revision: first.body.revision, ...source('true') });
    expect(read.etag).toBe(first.etag);

    const second = await publish('false', { 'if-match': first.etag });
    expect(second.status).toBe(200);
    expect(second.body.revision).not.toBe(first.body.revision);
    const { items } = (await admin.call('GET', '/v1/policies/demo/revisions')).body;
    expect(items.map(({ revision }: { revision: string }) => revision)).toEqual([
      second.body.revision,
      first.body.revision,
    ]);
    const old = await admin.call('GET', `/v1/policies/demo/revisions/${first.body.revision}`);
    expect(old.body).toMatchObject(source('true'));
    const listed = (await admin.call('GET', '/v1/policies')).body.items;
    expect(listed).toEqual([{ name: 'demo', revision: second.body.revision, at: second.body.at }]);
  });

  it('is published and listed with what its smoke cases cost', async () => {
    const smoke = [
      { input: {}, result: true },
      { input: { rest: 'x'.repeat(10_000) }, result: true },
    ];
    const body = { ...source('true'), smoke };
    const answer = await admin.call('PUT', '/v1/policies/demo', { body, headers: CREATE });
    const [small, large] = answer.body.smokeUnits;
    expect(small).toBeGreaterThan(0);
    expect(large).toBeGreaterThan(small);
    const listed = (await admin.call('GET', '/v1/policies')).body.items;
    expect(listed).toMatchObject([{ name: 'demo', smokeUnits: [small, large] }]);
  });

  it('that does not compile is refused with file, line and column, and what was there stays', async () => {
    const first = await publish('true');
    const before = await admin.length();
    const answer = await publish('no_such_function(input)', { 'if-match': first.etag });
    expect(answer.status).toBe(422);
    expect(answer.body.code).toBe('policy_rejected');
    expect(answer.body.errors[0]).toMatchObject({
      file: 'policy.rego',
      line: 3,
      column: 10,
      code: 'rego_type_error',
    });
    expect(await admin.length()).toBe(before);
    expect((await admin.call('GET', '/v1/policies/demo')).etag).toBe(first.etag);
  });

  it('whose own test fails is refused with the place of the test', async () => {
    const modules = {
      ...source('false').modules,
      'policy_test.rego': 'package envoy.authz_test\n\ntest_everybody_may if data.envoy.authz.allow\n',
    };
    const answer = await admin.call('PUT', '/v1/policies/demo', { body: { modules }, headers: CREATE });
    expect(answer.status).toBe(422);
    expect(answer.body.errors[0]).toMatchObject({ code: 'test_failed', file: 'policy_test.rego', line: 3 });
    expect((await admin.call('GET', '/v1/policies/demo')).status).toBe(404);
  });

  it('that takes too long to publish is 504, and nothing is published', async () => {
    const slow = await startAdmin({
      toolchain,
      options: { publishTimeoutSeconds: 1 },
      policies: (real) => ({
        ...real,
        publish: (_name, _source, signal) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason as Error));
          }),
      }),
    });
    const before = await slow.length();
    const answer = await slow.call('PUT', '/v1/policies/demo', { body: source('true'), headers: CREATE });
    expect(answer.status).toBe(504);
    expect(answer.body.code).toBe('deadline_exceeded');
    expect(await slow.length()).toBe(before);
    await slow.close();
  });

  it('is not compiled at all when the precondition fails', async () => {
    await publish('true');
    expect((await publish('no_such_function(input)', {})).status).toBe(428);
    expect((await publish('no_such_function(input)', CREATE)).status).toBe(412);
  });

  it('published twice alike is one revision and one entry', async () => {
    const first = await publish('true');
    const before = await admin.length();
    const again = await publish('true', { 'if-match': first.etag });
    expect(again.status).toBe(200);
    expect(again.etag).toBe(first.etag);
    expect(await admin.length()).toBe(before);
  });

  it('keeps its entity tag when it is released', async () => {
    const { body, etag } = await publish('true');
    expect((await release({ policy: 'demo', revision: body.revision })).status).toBe(201);
    expect((await admin.call('GET', '/v1/policies/demo')).etag).toBe(etag);
    expect((await publish('false', { 'if-match': etag })).status).toBe(200);
  });

  it('has one winner when two callers publish over what both have read', async () => {
    const { etag } = await publish('true');
    const answers = await Promise.all(['1', '2', '3'].map((rule) => publish(rule, { 'if-match': etag })));
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 412, 412]);
  });
});

describe('a release', () => {
  it('makes a revision live; releasing the older one is the way back', async () => {
    const first = await publish('true');
    const second = await publish('false', { 'if-match': first.etag });
    for (const { body } of [first, second, first]) {
      const released = await release({ policy: 'demo', revision: body.revision });
      expect(released.status).toBe(201);
      expect(released.body).toMatchObject({ policy: 'demo', revision: body.revision });
      expect(released.body.position).toBe(released.headers.get('chancery-position'));
      expect((await admin.call('GET', '/v1/policies')).body.items[0].released).toBe(body.revision);
    }
    const { items } = (await admin.call('GET', '/v1/releases?policy=demo&limit=2')).body;
    expect(items.map(({ revision }: { revision: string }) => revision)).toEqual([
      first.body.revision,
      second.body.revision,
    ]);
    expect((await admin.call('GET', '/v1/releases?policy=other')).body.items).toEqual([]);
  });

  it('of a revision or policy that was never published is 422', async () => {
    const { body } = await publish('true');
    for (const wanted of [
      { policy: 'demo', revision: `sha256:${'0'.repeat(64)}` },
      { policy: 'other', revision: body.revision },
    ]) {
      const answer = await release(wanted);
      expect(answer.status).toBe(422);
      expect(answer.body.errors[0].pointer).toBe('/revision');
    }
  });

  it('repeated with the same Idempotency-Key is one entry, and answers what the first one did', async () => {
    const { body } = await publish('true');
    const wanted = { policy: 'demo', revision: body.revision };
    const first = await release(wanted, { 'idempotency-key': 'deploy-1' });
    await release(wanted); // something else in between
    const before = await admin.length();
    const again = await release(wanted, { 'idempotency-key': 'deploy-1' });
    expect(again.status).toBe(201);
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('chancery-position')).toBe(first.headers.get('chancery-position'));
    expect(await admin.length()).toBe(before);
  });

  it('repeated at the same time with the same Idempotency-Key is one entry', async () => {
    const { body } = await publish('true');
    const before = await admin.length();
    const wanted = { policy: 'demo', revision: body.revision };
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => release(wanted, { 'idempotency-key': 'deploy-2' })),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(201));
    expect(new Set(answers.map((answer) => JSON.stringify(answer.body))).size).toBe(1);
    expect(await admin.length()).toBe(before + 1);
  });

  it('refuses an Idempotency-Key that stood for another body', async () => {
    const first = await publish('true');
    const second = await publish('false', { 'if-match': first.etag });
    const headers = { 'idempotency-key': 'deploy-3' };
    await release({ policy: 'demo', revision: first.body.revision }, headers);
    const before = await admin.length();
    const answer = await release({ policy: 'demo', revision: second.body.revision }, headers);
    expect(answer.status).toBe(422);
    expect(answer.body.code).toBe('idempotency_key_reused');
    expect(await admin.length()).toBe(before);
  });

  it('keeps the keys of two callers apart', async () => {
    const { body } = await publish('true');
    const expiresAt = new Date(Date.now() + 60_000).toISOString();
    const other = (await admin.call('POST', '/v1/tokens', { body: { name: 'other', expiresAt } })).body.token;
    const wanted = { policy: 'demo', revision: body.revision };
    const headers = { 'idempotency-key': 'same' };
    const mine = await release(wanted, headers);
    const theirs = await admin.call('POST', '/v1/releases', { body: wanted, headers, token: other });
    expect(theirs.body.position).not.toBe(mine.body.position);
  });

  it('refuses an Idempotency-Key that is empty, too long or not visible ASCII', async () => {
    const { body } = await publish('true');
    for (const key of ['', 'a b', 'x'.repeat(256)]) {
      const answer = await release({ policy: 'demo', revision: body.revision }, { 'idempotency-key': key });
      expect(answer.status).toBe(400);
    }
  });
});

describe('the journal over REST', () => {
  it('tells what changed, by whom, with bodies and without salts', async () => {
    await publish('true');
    const { entries, head } = (await admin.call('GET', '/v1/journal')).body;
    expect(entries[0].kind).toBe('journal.genesis');
    expect(entries.at(-1)).toMatchObject({ kind: 'policy.revision', body: { policy: 'demo' } });
    expect(entries.at(-1).actor).toMatch(/^token:[0-9a-f]{18}$/);
    expect(entries.at(-1).digest).toBe(head.digest);
    expect(JSON.stringify(entries)).not.toContain('salt');
    const later = (await admin.call('GET', `/v1/journal?after=${head.seq}&limit=5`)).body;
    expect(later).toEqual({ entries: [], head, first: 1 });
  });
});
