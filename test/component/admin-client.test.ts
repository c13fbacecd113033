import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApiError } from '../../src/client/api-error.ts';
import { type AdminClient, type ClientOptions, createClient } from '../../src/client/client.ts';
import { type AdminHarness, startAdmin } from '../support/admin-server.ts';

let admin: AdminHarness;
beforeEach(async () => {
  admin = await startAdmin();
});
afterEach(() => admin.close());

const clientOf = (options: Partial<ClientOptions> = {}): AdminClient =>
  createClient({ baseUrl: admin.url, token: admin.token, retryMs: 1, random: () => 0, ...options });

const service = {
  hosts: ['orders.test'],
  prefix: '/',
  access: 'grants' as const,
  endpoints: [{ address: '127.0.0.1', port: 8080 }],
};

/** Sends, and then loses the first `count` answers, or gives these instead. */
function unreliable(count: number, instead?: () => Response) {
  const sent: Request[] = [];
  const fetchUnreliably = async (request: Request): Promise<Response> => {
    sent.push(request.clone());
    const response = await fetch(request);
    if (sent.length > count) return response;
    await response.arrayBuffer();
    if (instead) return instead();
    throw new TypeError('connection reset');
  };
  return { sent, fetch: fetchUnreliably };
}

describe('the client', () => {
  it('creates, reads and changes with the types of the document', async () => {
    const client = clientOf();
    const path = { name: 'orders' };
    const created = await client.PUT('/v1/services/{name}', {
      params: { path, header: { 'if-none-match': '*' } },
      body: service,
    });
    expect(created.response.status).toBe(201);
    const { data, response } = await client.GET('/v1/services/{name}', { params: { path } });
    expect(data).toEqual(service);
    const etag = response.headers.get('etag') ?? '';
    const gone = await client.DELETE('/v1/services/{name}', {
      params: { path, header: { 'if-match': etag } },
    });
    expect(gone.response.status).toBe(204);
  });

  it('throws a problem as an error with its code and places', async () => {
    const body = { ...service, access: 'policy' as const, policy: 'nobody' };
    const call = clientOf().PUT('/v1/services/{name}', {
      params: { path: { name: 'orders' }, header: { 'if-none-match': '*' } },
      body,
    });
    const error = await call.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ status: 422, code: 'registry_rejected', errors: [{ pointer: '/policy' }] });
  });

  it('repeats a POST whose answer was lost, and it was done once', async () => {
    const published = await admin.call('PUT', '/v1/policies/demo', {
      body: {
        modules: { 'policy.rego': 'package envoy.authz\n\nallow := true\n' },
        data: {},
        entrypoints: ['envoy/authz/allow'],
        smoke: [],
      },
      headers: { 'if-none-match': '*' },
    });
    const before = await admin.length();
    const line = unreliable(2);
    const { data } = await clientOf({ fetch: line.fetch }).POST('/v1/releases', {
      body: { policy: 'demo', revision: published.body.revision },
    });
    expect(data?.policy).toBe('demo');
    expect(line.sent).toHaveLength(3);
    expect(new Set(line.sent.map((request) => request.headers.get('idempotency-key'))).size).toBe(1);
    expect(await admin.length()).toBe(before + 1);
  });

  it('does not repeat a PUT whose answer was lost: it may have been done', async () => {
    const line = unreliable(1);
    const call = clientOf({ fetch: line.fetch }).PUT('/v1/services/{name}', {
      params: { path: { name: 'orders' }, header: { 'if-none-match': '*' } },
      body: service,
    });
    await expect(call).rejects.toMatchObject({ status: 0, code: 'unreachable' });
    expect(line.sent).toHaveLength(1);
  });

  it('repeats whatever was refused because of too much work', async () => {
    const problem = { code: 'overloaded', detail: 'busy', status: 503 };
    let calls = 0;
    const client = clientOf({
      fetch: async (request) => {
        calls += 1;
        return calls === 1 ? Response.json(problem, { status: 503 }) : fetch(request);
      },
    });
    const { response } = await client.PUT('/v1/services/{name}', {
      params: { path: { name: 'orders' }, header: { 'if-none-match': '*' } },
      body: service,
    });
    expect(response.status).toBe(201);
    expect(calls).toBe(2);
  });

  it('repeats what was refused as too often, unless the wait that the server asks for is long', async () => {
    const refusal = (retryAfter: string) => {
      const problem = { code: 'rate_limited', detail: 'too often', status: 429 };
      return Response.json(problem, { status: 429, headers: { 'retry-after': retryAfter } });
    };
    const after = async (retryAfter: string) => {
      let calls = 0;
      const client = clientOf({
        fetch: async (request) => {
          calls += 1;
          return calls === 1 ? refusal(retryAfter) : fetch(request);
        },
      });
      const outcome = await client.GET('/v1/services').catch((thrown: unknown) => thrown);
      return { calls, outcome };
    };
    expect(await after('0')).toMatchObject({ calls: 2, outcome: { response: { status: 200 } } });
    expect(await after('60')).toMatchObject({
      calls: 1,
      outcome: { status: 429, code: 'rate_limited', retryAfterSeconds: 60 },
    });
  });

  it('gives up after its attempts', async () => {
    const line = unreliable(Number.POSITIVE_INFINITY);
    await expect(clientOf({ fetch: line.fetch, maxAttempts: 4 }).GET('/v1/services')).rejects.toBeInstanceOf(
      ApiError,
    );
    expect(line.sent).toHaveLength(4);
  });

  it('waits no longer than it was told to', async () => {
    const never = (request: Request): Promise<Response> =>
      new Promise((_resolve, reject) => {
        request.signal.addEventListener('abort', () => reject(request.signal.reason as Error));
      });
    const call = clientOf({ fetch: never, timeoutMs: 20, maxAttempts: 1 }).GET('/v1/services');
    await expect(call).rejects.toMatchObject({ code: 'unreachable', detail: 'the call took too long' });
  });

  it('shows no token in what it throws', async () => {
    const error = await clientOf({ token: 'chy_wrong.token' })
      .GET('/v1/services')
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ status: 401, code: 'credential_invalid' });
    expect(JSON.stringify(error) + String(error)).not.toContain('chy_wrong');
  });
});
