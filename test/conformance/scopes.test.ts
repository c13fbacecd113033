import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeApi } from '../../src/admin/openapi-document.ts';
import { SCOPES, type Scope } from '../../src/admin/scopes.ts';
import { createIssuedToken } from '../../src/admin/tokens.ts';
import { systemClock } from '../../src/core/clock.ts';
import { systemRandom } from '../../src/journal/random.ts';
import type { OpenApiDocument } from '../support/admin-contract.ts';
import { type AdminHarness, startAdmin } from '../support/admin-server.ts';

/** What the document of the program says of each of its endpoints; whoever adds one adds its rows. */
const document = JSON.parse(JSON.stringify(await describeApi())) as OpenApiDocument;
const operations = Object.entries(document.paths).flatMap(([template, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    id: operation.operationId,
    method: method.toUpperCase(),
    template,
    needed: (operation as { readonly 'x-required-scope'?: string })['x-required-scope'],
    security: (operation as { readonly security?: unknown }).security,
  })),
);
const endpoints = operations.filter(({ security }) => security === undefined);
/** No token of any scope opens these: what does is a credential of their own. */
const ownEndpoints = operations.filter(({ security }) => security !== undefined);
const HOLDINGS = [...SCOPES, '*'] as const;
const ownRows = ownEndpoints.flatMap((endpoint) => HOLDINGS.map((held) => ({ ...endpoint, held })));
const rows = endpoints.flatMap((endpoint) => HOLDINGS.map((held) => ({ ...endpoint, held })));

/** What is meant, apart from the code: a change of it is a decision, and shows here. */
const MEANT: Readonly<Record<string, Scope>> = {
  listPolicies: 'policy:read',
  getPolicy: 'policy:read',
  listRevisions: 'policy:read',
  getRevision: 'policy:read',
  getRevisionBundle: 'policy:read',
  getBundle: 'policy:read',
  listReleases: 'policy:read',
  putPolicy: 'policy:write',
  createRelease: 'policy:release',
  readJournal: 'audit:read',
  issueToken: 'token:admin',
  listTokens: 'token:admin',
  getToken: 'token:admin',
  revokeToken: 'token:admin',
  getRollout: 'registry:read',
};

describe('the scope of an endpoint', () => {
  it('is one of the list, for every endpoint', () => {
    expect(endpoints.length).toBeGreaterThan(30);
    const known: readonly (string | undefined)[] = SCOPES;
    expect(endpoints.filter(({ needed }) => !known.includes(needed))).toEqual([]);
  });

  it('is what is meant', () => {
    const meantOf = ({ id, method, template }: (typeof endpoints)[number]): string | undefined =>
      /^\/v1\/(members|apps|groups|services|grants|nodes|node-groups|registry|config|issuers|settings)\b/.test(
        template,
      )
        ? `registry:${method === 'GET' ? 'read' : 'write'}`
        : MEANT[id];
    const unlike = endpoints.filter((endpoint) => endpoint.needed !== meantOf(endpoint));
    expect(unlike).toEqual([]);
  });

  it('is needed for something, each of them', () => {
    expect(new Set(endpoints.map(({ needed }) => needed))).toEqual(new Set(SCOPES));
  });
});

describe('a credential of its own', () => {
  it('opens what is meant, and no scope does', () => {
    const shown = ownEndpoints.map(({ id, security, needed }) => [id, security, needed]);
    expect(shown).toEqual([
      ['enrolNode', [{ enrolmentToken: [] }], undefined],
      ['renewNodeCertificate', [{ nodeCertificate: [] }], undefined],
      ['getNodeConfiguration', [{ nodeCertificate: [] }], undefined],
      ['reportProof', [{ nodeCertificate: [] }], undefined],
    ]);
  });
});

describe('a token', () => {
  let admin: AdminHarness;
  const tokens = new Map<string, string>();

  beforeAll(async () => {
    admin = await startAdmin({
      options: { rateLimit: { requestsPerSecond: 1, burst: 1_000, failedPerMinute: 1 } },
    });
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
    for (const held of HOLDINGS) {
      const scopes = [held];
      const issued = await admin.call('POST', '/v1/tokens', { body: { name: held, expiresAt, scopes } });
      expect(issued.body.scopes).toEqual(scopes);
      tokens.set(held, issued.body.token);
    }
  });
  afterAll(() => admin.close());

  // Nothing of these names exists and no body is right, so that what is let through changes nothing either.
  it.each(rows)('of $held is let into $method $template only where it may be', async (row) => {
    const { method, template, needed, held } = row;
    const path = template
      .replace('{revision}', `sha256:${'0'.repeat(64)}`)
      .replaceAll(/\{seq\}/g, '999999')
      .replaceAll(/\{[^}]+\}/g, 'nothing');
    const before = await admin.length();
    const answer = await admin.call(method, path, {
      token: tokens.get(held) ?? null,
      ...(method === 'GET' || method === 'DELETE' ? {} : { body: {} }),
    });
    if (held === '*' || held === needed) {
      expect(answer.status).not.toBe(401);
      expect(answer.status).not.toBe(403);
      expect(answer.status).toBeLessThan(500);
      return;
    }
    expect(answer.status).toBe(403);
    expect(answer.body).toMatchObject({ code: 'permission_denied' });
    expect(answer.body.detail).toContain(`the scope ${needed},`);
    expect(await admin.length()).toBe(before);
  });

  it.each(ownRows)('of $held is nothing to $method $template', async ({ method, template, held }) => {
    const before = await admin.length();
    const answer = await admin.call(method, template.replaceAll(/\{[^}]+\}/g, 'nothing'), {
      token: tokens.get(held) ?? null,
      ...(method === 'GET' ? {} : { body: { csr: 'x' } }),
    });
    // of failed authentications one in a minute is told what was wrong
    expect([401, 429]).toContain(answer.status);
    expect(await admin.length()).toBe(before);
  });

  it('needs for HEAD what it needs for GET', async () => {
    const statusOf = async (held: string, path: string): Promise<number> => {
      const headers = { authorization: `Bearer ${tokens.get(held)}` };
      return (await fetch(`${admin.url}${path}`, { method: 'HEAD', headers })).status;
    };
    expect(await statusOf('policy:read', '/v1/policies')).toBe(200);
    expect(await statusOf('registry:read', '/v1/policies')).toBe(403);
    expect(await statusOf('registry:read', '/v1/journal')).toBe(403);
  });

  it('that is refused is refused before its body is read', async () => {
    const answer = await admin.call('PUT', '/v1/services/orders', {
      token: tokens.get('registry:read') ?? null,
      raw: 'no JSON at all',
    });
    expect(answer.body.code).toBe('permission_denied');
  });

  it('of a scope that this program does not know may do nothing', async () => {
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
    const wanted = { name: 'later', scopes: ['everything:later'], expiresAt };
    const { token, draft } = createIssuedToken(wanted, { clock: systemClock, random: systemRandom });
    const change = {
      id: 'later',
      actor: 'test',
      prepare: () => ({ drafts: [draft] as const, result: undefined }),
    };
    await admin.journal.writer.change(change, AbortSignal.timeout(10_000));
    const letIn = [];
    for (const { method, template } of endpoints) {
      const path = template.replaceAll(/\{[^}]+\}/g, 'nothing');
      const { status } = await admin.call(method, path, { token });
      if (status !== 403) letIn.push(`${method} ${template}: ${status}`);
    }
    expect(letIn).toEqual([]);
  });
});
