import { afterEach, describe, expect, it } from 'vitest';
import { type AdminHarness, startAdmin } from '../support/admin-server.ts';

const inDays = (days: number, fromMs = Date.now()): string =>
  new Date(fromMs + days * 86_400_000).toISOString();

describe('API tokens', () => {
  let admin: AdminHarness;
  afterEach(() => admin.close());

  it('refuses a call without a token with 401 and a plain challenge', async () => {
    admin = await startAdmin();
    const answer = await admin.call('GET', '/v1/services', { token: null });
    expect(answer.status).toBe(401);
    expect(answer.body.code).toBe('credential_missing');
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });

  it.each([
    ['of an unknown id', () => `chy_${'0'.repeat(18)}.${'A'.repeat(43)}`],
    ['with another secret', (token: string) => `${token.slice(0, 23)}${'A'.repeat(43)}`],
    ['that is cut short', (token: string) => token.slice(0, -1)],
    ['of no form at all', () => 'secret'],
  ])('refuses a token %s with 401 invalid_token', async (_what, change) => {
    admin = await startAdmin();
    const answer = await admin.call('GET', '/v1/services', { token: change(admin.token) });
    expect(answer.status).toBe(401);
    expect(answer.body.code).toBe('credential_invalid');
    expect(answer.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"');
  });

  it('reads a token from the Authorization header only', async () => {
    admin = await startAdmin();
    const answer = await admin.call('GET', `/v1/services?access_token=${admin.token}`, { token: null });
    expect(answer.status).toBe(401);
    expect(admin.logged.join('\n')).not.toContain(admin.token);
  });

  it('refuses an expired token, by the time of its use', async () => {
    let nowMs = Date.now();
    admin = await startAdmin({ clock: { nowMs: () => nowMs } });
    expect((await admin.call('GET', '/v1/services')).status).toBe(200);
    nowMs += 3_600_001;
    const answer = await admin.call('GET', '/v1/services');
    expect(answer.status).toBe(401);
    expect(answer.body.code).toBe('credential_expired');
  });

  it('issues a token that works, and shows its text once', async () => {
    admin = await startAdmin();
    const issued = await admin.call('POST', '/v1/tokens', { body: { name: 'ci', expiresAt: inDays(30) } });
    expect(issued.status).toBe(201);
    expect(issued.body.scopes).toEqual(['*']);
    expect((await admin.call('GET', '/v1/services', { token: issued.body.token })).status).toBe(200);

    const secret = issued.body.token.split('.')[1];
    const places = [
      await admin.call('GET', '/v1/tokens'),
      await admin.call('GET', `/v1/tokens/${issued.body.id}`),
      await admin.call('GET', '/v1/journal'),
    ];
    for (const { body } of places) {
      expect(JSON.stringify(body)).toContain(issued.body.id);
      expect(JSON.stringify(body)).not.toContain(secret);
      expect(JSON.stringify(body)).not.toContain('"sha256"');
    }
    expect(admin.logged.join('\n')).not.toContain(secret);
  });

  it('revokes a token at once', async () => {
    admin = await startAdmin();
    const issued = await admin.call('POST', '/v1/tokens', { body: { name: 'ci', expiresAt: inDays(1) } });
    const path = `/v1/tokens/${issued.body.id}`;
    expect((await admin.call('DELETE', path, { headers: { 'if-match': '"older"' } })).status).toBe(412);
    const revoked = await admin.call('DELETE', path);
    expect(revoked.status).toBe(204);
    const answer = await admin.call('GET', '/v1/services', { token: issued.body.token });
    expect(answer.body.code).toBe('credential_revoked');
    expect((await admin.call('GET', path)).body.ended).toBe(true);
    expect((await admin.call('DELETE', path, { headers: { 'if-match': issued.etag } })).status).toBe(412);
    expect((await admin.call('DELETE', '/v1/tokens/nobody')).status).toBe(404);
  });

  it('refuses an expiry that is past, more than 366 days away, or no time at all', async () => {
    admin = await startAdmin();
    for (const expiresAt of [inDays(-1), inDays(367)]) {
      const answer = await admin.call('POST', '/v1/tokens', { body: { name: 'x', expiresAt } });
      expect(answer.status).toBe(422);
      expect(answer.body.errors[0].pointer).toBe('/expiresAt');
    }
    const unreadable = await admin.call('POST', '/v1/tokens', { body: { name: 'x', expiresAt: 'soon' } });
    expect(unreadable.status).toBe(400);
    expect(unreadable.body.errors[0].pointer).toBe('/expiresAt');
    const without = await admin.call('POST', '/v1/tokens', { body: { name: 'x' } });
    expect(without.body.errors).toEqual([
      { pointer: '/expiresAt', code: 'required', message: 'is required' },
    ]);
  });

  it('answers a repeated call with 409, since the token was shown once', async () => {
    admin = await startAdmin();
    const call = { body: { name: 'ci', expiresAt: inDays(1) }, headers: { 'idempotency-key': 'k1' } };
    expect((await admin.call('POST', '/v1/tokens', call)).status).toBe(201);
    const before = await admin.length();
    const again = await admin.call('POST', '/v1/tokens', call);
    expect(again.status).toBe(409);
    expect(again.body.code).toBe('already_exists');
    expect(await admin.length()).toBe(before);
  });
});

describe('the one-time token of init', () => {
  let admin: AdminHarness;
  afterEach(() => admin.close());

  it('may do nothing but issue a token', async () => {
    admin = await startAdmin();
    const token = admin.oneTimeToken;
    for (const [method, path] of [
      ['GET', '/v1/tokens'],
      ['GET', '/v1/services'],
      ['GET', '/v1/journal'],
      ['DELETE', '/v1/services/x'],
    ] as const) {
      const answer = await admin.call(method, path, { token });
      expect(answer.status).toBe(403);
      expect(answer.body.code).toBe('permission_denied');
    }
    expect(admin.logged.filter((line) => line.includes('permission_denied'))).toHaveLength(4);
    expect(admin.logged.join('\n')).not.toContain(token);
  });

  it('is used up in the same commit that issues the new token', async () => {
    admin = await startAdmin();
    const body = { name: 'first', expiresAt: inDays(90) };
    const issued = await admin.call('POST', '/v1/tokens', { body, token: admin.oneTimeToken });
    expect(issued.status).toBe(201);
    const { entries } = (await admin.call('GET', '/v1/journal?after=3', { token: issued.body.token })).body;
    expect(entries.map(({ kind }: { kind: string }) => kind)).toEqual(['token.redeem', 'token.issue']);
    expect(new Set(entries.map(({ commit }: { commit: { id: string } }) => commit.id)).size).toBe(1);
    expect(entries[0].commit).toMatchObject({ index: 0, count: 2 });

    const again = await admin.call('POST', '/v1/tokens', { body, token: admin.oneTimeToken });
    expect(again.status).toBe(401);
    expect(again.body.code).toBe('credential_revoked');
  });

  it('stays usable when the call that it was used for was refused', async () => {
    admin = await startAdmin();
    const token = admin.oneTimeToken;
    const refused = await admin.call('POST', '/v1/tokens', {
      body: { name: 'x', expiresAt: inDays(400) },
      token,
    });
    expect(refused.status).toBe(422);
    const issued = await admin.call('POST', '/v1/tokens', {
      body: { name: 'x', expiresAt: inDays(4) },
      token,
    });
    expect(issued.status).toBe(201);
  });

  it('issues one token, however many calls use it at the same time', async () => {
    admin = await startAdmin();
    const before = await admin.length();
    const calls = Array.from({ length: 8 }, (_, index) =>
      admin.call('POST', '/v1/tokens', {
        body: { name: `n${index}`, expiresAt: inDays(1) },
        token: admin.oneTimeToken,
      }),
    );
    const statuses = (await Promise.all(calls)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 201)).toHaveLength(1);
    expect(statuses.filter((status) => status === 401)).toHaveLength(7);
    expect(await admin.length()).toBe(before + 2);
  });
});
