import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { components } from '../../src/client/schema.d.ts';
import { expectForwarded, expectRefused } from '../support/counted.ts';
import { freePort } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { connectHttp2, type Http2Connection } from '../support/http-connection.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { createTlsFiles, type TlsFiles } from '../support/tls-files.ts';

type Change = components['schemas']['RegistryChanges']['changes'][number];

const POLICY = `package envoy.authz

default allow := false

allow if input.attributes.request.http.headers["x-please"] == "yes"
`;
const PLEASE = { headers: { 'x-please': 'yes' } };
const READER = 'spiffe://chancery/app/GOV/A/reader';
const STRANGER = 'spiffe://chancery/app/GOV/A/stranger';
const NOTICE = 'closed for the holidays, until Monday';
const registered = { state: 'registered' };

/** What the registry says of members, apps and services, as callers see it at the proxy. */
describe('the state of things on a real Envoy', () => {
  let stack: Stack;
  let files: TlsFiles;
  let reader: Http2Connection;
  let stranger: Http2Connection;

  beforeAll(async () => {
    files = await createTlsFiles();
    stack = await startStack({ mtls: true });
    const port = await freePort();
    await stack.publishAndRelease('demo', POLICY);
    const endpoints = [{ address: '127.0.0.1', port: stack.upstream.port }];
    const service = (name: string, more: object) =>
      put('service', name, { hosts: ['*'], prefix: `/${name}`, endpoints, ...more });
    await change(
      put('member', 'GOV/A', registered),
      put('member', 'GOV/B', registered),
      put('app', 'GOV/A/reader', registered),
      put('app', 'GOV/A/stranger', registered),
      put('app', 'GOV/B/owner', registered),
      put('group', 'inner', { members: [{ app: 'GOV/A/reader' }] }),
      put('group', 'readers', { members: [{ group: 'inner' }] }),
      service('granted', { access: 'grants', owner: 'GOV/B/owner' }),
      service('asked', { access: 'policy', policy: 'demo', owner: 'GOV/B/owner' }),
      put('grant', 'granted/readers', { subject: { group: 'readers' }, operations: ['*'] }),
      put('node', 'edge-1', {
        services: ['asked'],
        listener: { address: '127.0.0.1', port, tls: files.listener },
      }),
      put('node-group', 'edges', { nodes: ['edge-1'], services: ['granted'] }),
    );
    await stack.startNode('edge-1');
    const connect = async (spiffe: string) => {
      const tls = await files.client({ uris: [spiffe] });
      const made = await eventually('the listener answers', () =>
        connectHttp2(port, tls).catch(() => undefined),
      );
      if (made === undefined) throw new Error('no connection');
      return made;
    };
    [reader, stranger] = [await connect(READER), await connect(STRANGER)];
    await readerGets(200);
  });
  afterAll(async () => {
    for (const connection of [reader, stranger]) connection?.close();
    await stack?.stop();
    await files?.remove();
  });

  const put = (kind: Change['kind'], name: string, value: object): Change => ({
    action: 'put',
    kind,
    name,
    value: value as NonNullable<Change['value']>,
  });
  const change = async (...changes: Change[]) => {
    await stack.client.POST('/v1/registry/changes', { body: { changes } });
  };
  const changeService = async (name: string, more: object) => {
    const { data } = await stack.client.GET('/v1/services/{name}', { params: { path: { name } } });
    const { state: _state, notice: _notice, ...service } = data ?? {};
    await change(put('service', name, { ...service, ...more }));
  };
  const readerGets = (status: number, path = '/granted/x') =>
    eventually(
      `the reader gets ${status} of ${path}`,
      async () => (await reader.send(path, PLEASE)).status === status,
    );
  const expectOpen = async () => {
    await expectForwarded(stack.upstream, () => reader.send('/granted/x'));
    await expectRefused(stack.upstream, () => stranger.send('/granted/x'), 403);
  };

  it('lets the apps of a group within a group pass, and nobody else', async () => {
    await expectOpen();
  });

  it('shows the notice of a disabled service to whoever may call, and 403 to the others', async () => {
    await changeService('granted', { state: 'disabled', notice: NOTICE });
    await readerGets(503);
    const answer = await expectRefused(stack.upstream, () => reader.send('/granted/x'), 503);
    expect(answer.body).toBe(NOTICE);
    const refused = await expectRefused(stack.upstream, () => stranger.send('/granted/x'), 403);
    expect(refused.body).not.toContain(NOTICE);
    await changeService('granted', {});
    await readerGets(200);
    await expectOpen();
  });

  it('asks the policy before the notice of a disabled service that a policy decides about', async () => {
    await readerGets(200, '/asked/x');
    await changeService('asked', { state: 'disabled', notice: NOTICE });
    await readerGets(503, '/asked/x');
    expect((await expectRefused(stack.upstream, () => reader.send('/asked/x', PLEASE), 503)).body).toBe(
      NOTICE,
    );
    await expectRefused(stack.upstream, () => reader.send('/asked/x'), 403);
    await changeService('asked', {});
    await readerGets(200, '/asked/x');
  });

  it.each<[string, Change['kind'], string]>([
    ['an app', 'app', 'GOV/A/reader'],
    ['a member', 'member', 'GOV/A'],
  ])(
    'refuses %s that is suspended, where grants and where policies decide, and takes it back',
    async (_, kind, name) => {
      await change(put(kind, name, { state: 'suspended' }));
      await readerGets(403);
      await readerGets(403, '/asked/x');
      await expectRefused(stack.upstream, () => reader.send('/granted/x'), 403);
      await expectRefused(stack.upstream, () => reader.send('/asked/x', PLEASE), 403);
      await change(put(kind, name, registered));
      await readerGets(200);
      await readerGets(200, '/asked/x');
    },
  );

  it('has nothing of a service whose owner is suspended, and the notice of one whose owner is disabled', async () => {
    await change(put('member', 'GOV/B', { state: 'disabled', notice: NOTICE }));
    await readerGets(503);
    expect((await reader.send('/granted/x')).body).toBe(NOTICE);
    await expectRefused(stack.upstream, () => stranger.send('/granted/x'), 403);
    await change(put('member', 'GOV/B', { state: 'suspended' }));
    await readerGets(404);
    await expectRefused(stack.upstream, () => reader.send('/asked/x', PLEASE), 404);
    await change(put('member', 'GOV/B', registered));
    await readerGets(200);
  });

  it('takes the members of a group out at once', async () => {
    await change(put('group', 'inner', { members: [] }));
    await readerGets(403);
    await change(put('group', 'inner', { members: [{ app: 'GOV/A/reader' }] }));
    await readerGets(200);
    await expectOpen();
  });

  it('subtracts a deny from whatever else allows', async () => {
    const deny = { subject: { app: 'GOV/A/reader' }, operations: ['*'], effect: 'deny' };
    await change(put('grant', 'granted/not-this-one', deny));
    await readerGets(403);
    await change({ action: 'delete', kind: 'grant', name: 'granted/not-this-one' });
    await readerGets(200);
  });

  it('ends a grant at its time, without an entry of the journal', async () => {
    const expiresAt = new Date(Date.now() + 3_000).toISOString();
    const subject = { app: 'GOV/A/stranger' };
    await change(put('grant', 'granted/for-a-moment', { subject, operations: ['*'], expiresAt }));
    await eventually('the stranger is in', async () => (await stranger.send('/granted/x')).status === 200);
    const { seq } = stack.app.world.follower.position();
    await eventually('the stranger is out', async () => (await stranger.send('/granted/x')).status === 403);
    expect(Date.now()).toBeGreaterThan(Date.parse(expiresAt) - 1_000);
    expect(stack.app.world.follower.position().seq).toBe(seq);
    await expectOpen();
  });
});
