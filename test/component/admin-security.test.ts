import { afterEach, describe, expect, it } from 'vitest';
import { type AdminHarness, startAdmin } from '../support/admin-server.ts';

const expiresAt = (): string => new Date(Date.now() + 3_600_000).toISOString();
const rateLimit = { requestsPerSecond: 200, burst: 1_000, failedPerMinute: 60 };
const unknownToken = `chy_${'0'.repeat(18)}.${'A'.repeat(43)}`;

describe('the scopes of an issued token', () => {
  let admin: AdminHarness;
  afterEach(() => admin.close());

  it('are those that were asked for, and end there', async () => {
    admin = await startAdmin();
    const scopes = ['policy:read', 'registry:read'];
    const body = { name: 'reader', expiresAt: expiresAt(), scopes };
    const issued = await admin.call('POST', '/v1/tokens', { body });
    expect(issued.body.scopes).toEqual(scopes);
    expect((await admin.call('GET', `/v1/tokens/${issued.body.id}`)).body.scopes).toEqual(scopes);
    const { token } = issued.body;
    expect((await admin.call('GET', '/v1/policies', { token })).status).toBe(200);
    const refused = await admin.call('GET', '/v1/journal', { token });
    expect(refused.status).toBe(403);
    expect(refused.body.detail).toContain('audit:read');
  });

  it('are no more than the issuing token holds, also where none are asked for', async () => {
    admin = await startAdmin();
    const scopes = ['token:admin', 'policy:read'];
    const { body } = await admin.call('POST', '/v1/tokens', {
      body: { name: 'issuer', expiresAt: expiresAt(), scopes },
    });
    const { token } = body;
    const issue = (more: object) =>
      admin.call('POST', '/v1/tokens', { token, body: { name: 'x', expiresAt: expiresAt(), ...more } });
    const before = await admin.length();
    for (const more of [{}, { scopes: ['*'] }, { scopes: ['policy:read', 'policy:write'] }]) {
      const answer = await issue(more);
      expect(answer.status).toBe(403);
      expect(answer.body.code).toBe('permission_denied');
    }
    expect(await admin.length()).toBe(before);
    expect((await issue({ scopes: ['policy:read'] })).status).toBe(201);
  });

  it('are what the one-time token of init is asked for, which need not hold them', async () => {
    admin = await startAdmin();
    const body = { name: 'first', expiresAt: expiresAt(), scopes: ['policy:release'] };
    const issued = await admin.call('POST', '/v1/tokens', { body, token: admin.oneTimeToken });
    expect(issued.status).toBe(201);
    expect(issued.body.scopes).toEqual(['policy:release']);
  });

  it('are known ones, at least one, each once', async () => {
    admin = await startAdmin();
    for (const scopes of [[], ['policy:read', 'policy:read'], ['policy:everything'], 'policy:read', null]) {
      const body = { name: 'x', expiresAt: expiresAt(), scopes };
      const answer = await admin.call('POST', '/v1/tokens', { body });
      expect(answer.status).toBe(400);
      expect(answer.body.errors[0].pointer).toMatch(/^\/scopes/);
    }
  });
});

describe('the rate limit', () => {
  let admin: AdminHarness;
  afterEach(() => admin.close());

  it('of a token is 429 with a time to wait, and leaves other tokens alone', async () => {
    let nowMs = Date.now();
    const limit = { ...rateLimit, requestsPerSecond: 1, burst: 3 };
    admin = await startAdmin({ clock: { nowMs: () => nowMs }, options: { rateLimit: limit } });
    const body = { name: 'other', expiresAt: new Date(nowMs + 3_600_000).toISOString() };
    const other = (await admin.call('POST', '/v1/tokens', { body })).body.token;
    const get = (token?: string) => admin.call('GET', '/v1/services', token === undefined ? {} : { token });
    expect([(await get()).status, (await get()).status]).toEqual([200, 200]);
    const refused = await get();
    expect(refused.status).toBe(429);
    expect(refused.body.code).toBe('rate_limited');
    expect(refused.headers.get('retry-after')).toBe('1');
    expect((await get(other)).status).toBe(200);
    nowMs += 1_000;
    expect([(await get()).status, (await get()).status]).toEqual([200, 429]);
  });

  it('of failed authentications refuses the address, but no good token that comes from there', async () => {
    const options = { rateLimit: { ...rateLimit, failedPerMinute: 2 } };
    admin = await startAdmin({ options });
    const bad = () => admin.call('GET', '/v1/services', { token: unknownToken });
    expect([(await bad()).status, (await bad()).status]).toEqual([401, 401]);
    const refused = await bad();
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await admin.call('GET', '/v1/services', { token: null })).status).toBe(429);
    expect((await admin.call('GET', '/v1/services')).status).toBe(200);
  });
});

describe('the security log', () => {
  let admin: AdminHarness;
  afterEach(() => admin.close());

  it('has one line for each refused call, with a constant message and no credential', async () => {
    admin = await startAdmin({ options: { rateLimit: { ...rateLimit, failedPerMinute: 2 } } });
    const issue = async (scopes: readonly string[]) =>
      (await admin.call('POST', '/v1/tokens', { body: { name: 'x', expiresAt: expiresAt(), scopes } })).body;
    const reader = await issue(['policy:read']);
    const ended = await issue(['*']);
    await admin.call('DELETE', `/v1/tokens/${ended.id}`);
    await admin.call('GET', '/v1/services/orders?access_token=hidden', { token: reader.token });
    await admin.call('GET', '/v1/services', { token: ended.token });
    await admin.call('GET', '/v1/services', { token: 'a-password-that-is-no-token-of-ours' });
    await admin.call('GET', '/v1/services', { token: null });
    await admin.call('GET', '/v1/services/absent'); // a 404 is no refusal

    const message = 'refused a call of the admin API';
    const lines = admin.logged.filter((line) => line.includes('"kind":"security"'));
    const seen = lines.map((line) => {
      const end = line.lastIndexOf('}') + 1;
      expect(line.slice(end).trim()).toBe(message);
      const { requestId, ...fields } = JSON.parse(line.slice(0, end)) as Record<string, unknown>;
      expect(requestId).toMatch(/^[0-9a-f-]{36}$/);
      return fields;
    });
    const common = { kind: 'security', method: 'GET', route: '/v1/services', remoteAddress: '127.0.0.1' };
    expect(seen).toEqual([
      {
        ...common,
        route: '/v1/services/:name',
        status: 403,
        code: 'permission_denied',
        claimedTokenId: reader.id,
      },
      { ...common, status: 401, code: 'credential_revoked', claimedTokenId: ended.id },
      { ...common, status: 401, code: 'credential_invalid' },
      { ...common, status: 429, code: 'rate_limited' },
    ]);
    const text = admin.logged.join('\n');
    for (const token of [reader.token, ended.token]) expect(text).not.toContain(token.split('.')[1]);
    for (const secret of ['a-password', 'hidden']) expect(text).not.toContain(secret);
  });
});
