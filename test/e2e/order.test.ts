import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askHere } from '../../src/client/ask-here.ts';
import { PROBE_HOST, PROBE_PATH } from '../../src/core/probe.ts';
import { expectForwarded, expectRefused } from '../support/counted.ts';
import { type EchoUpstream, openWebSocket, startEchoUpstream } from '../support/echo-upstream.ts';
import { freePort } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { type ClientTls, sendRequest } from '../support/http-request.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { createTlsFiles, type TlsFiles } from '../support/tls-files.ts';

const ALICE = 'spiffe://mesh.example/client/alice';
const BOB = 'spiffe://mesh.example/client/bob';
const STREAM_SECONDS = 6;
/** of this machine, and not loopback: whoever calls it comes from it */
const OWN_ADDRESS = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .find(({ internal, family }) => !internal && family === 'IPv4')?.address;
if (OWN_ADDRESS === undefined) process.stderr.write('skipped: the probe from elsewhere, without a network\n');

describe('what is checked first, on a real Envoy', () => {
  let stack: Stack;
  let files: TlsFiles;
  let echo: EchoUpstream;
  let port = 0;
  let clients: Readonly<Record<'alice' | 'bob' | 'both' | 'reversed', ClientTls>>;

  beforeAll(async () => {
    [stack, files, echo, port] = await Promise.all([
      startStack({ set: [`tier1.maxStreamSeconds=${STREAM_SECONDS}`] }),
      createTlsFiles(),
      startEchoUpstream(),
      freePort(),
    ]);
    clients = {
      alice: await files.client({ uris: [ALICE] }),
      bob: await files.client({ uris: [BOB] }),
      both: await files.client({ uris: [ALICE, BOB] }),
      reversed: await files.client({ uris: [BOB, ALICE] }),
    };
    await stack.putService('births', {
      operations: [
        { id: 'one', method: 'GET', path: '/births/{id}' },
        { id: 'stats', method: 'GET', path: '/births/stats' },
      ],
    });
    await stack.putService('socket', { endpoints: [{ address: '127.0.0.1', port: echo.port }] });
    await stack.putGrant('births', 'alice', ALICE, ['one']);
    await stack.putGrant('births', 'bob', BOB, ['stats']);
    await stack.putGrant('socket', 'alice', ALICE);
    await stack.putNode('edge', {
      services: ['births', 'socket'],
      listener: { address: '127.0.0.1', port, tls: files.listener },
    });
    await stack.startNode('edge');
    await eventually('a grant opens', async () => (await send('alice', '/births/7')).status === 200);
  });
  afterAll(async () => {
    await stack?.stop();
    await echo?.close();
    await files?.remove();
  });

  const send = (client: keyof typeof clients, path: string) =>
    sendRequest(port, path, { tls: clients[client] });
  const forwards = (client: keyof typeof clients, path: string) =>
    expectForwarded(stack.upstream, () => send(client, path));
  const refuses = (client: keyof typeof clients, path: string, status: number) =>
    expectRefused(stack.upstream, () => send(client, path), status);

  it('a request is one operation: who may read any birth may not read the statistics, and the other way round', async () => {
    await forwards('alice', '/births/7');
    await refuses('alice', '/births/stats', 403);
    await forwards('bob', '/births/stats');
    await refuses('bob', '/births/7', 403);
    // one letter, one encoding, one segment away
    await forwards('alice', '/births/Stats');
    await refuses('alice', '/births/%73tats', 403);
    await refuses('alice', '/births//stats', 403);
    await refuses('alice', '/births/stats/', 404);
  });

  it.each([
    ['an encoded slash', '/births/7%2fstats', 400],
    ['a path parameter', '/births/7;stats', 400],
    ['dots with a path parameter, which a back end may read as dots', '/births/7/..;/stats', 403],
    ['an encoded zero byte', '/births/7%00', 400],
    ['an encoded backslash', '/births/7%5cstats', 400],
  ])('%s does not get through to another operation', async (_, path, status) => {
    await refuses('alice', path, status);
  });

  it('a certificate with two URI SANs is nobody, whichever comes first', async () => {
    for (const client of ['both', 'reversed'] as const) {
      await refuses(client, '/births/7', 403);
      await refuses(client, '/births/stats', 403);
    }
  });

  it('an open WebSocket of an app whose grant is revoked ends within the revocation bound, and no new one opens', async () => {
    const openedAt = performance.now();
    const socket = await openWebSocket(port, '/socket/x', clients.alice);
    expect(socket.status).toBe(101);
    expect(await socket.echo('before')).toBe(true);
    expect((await openWebSocket(port, '/socket/x', clients.bob)).status).toBe(403);
    await stack.deleteGrant('socket', 'alice');
    await eventually('nothing new is let in', async () => (await send('alice', '/socket/x')).status === 403);
    const again = await openWebSocket(port, '/socket/x', clients.alice);
    expect(again.status).toBe(403);
    await eventually('the open one has ended', () => !socket.isOpen());
    expect(performance.now() - openedAt).toBeGreaterThan(STREAM_SECONDS * 1_000 - 100);
    expect(await socket.echo('after')).toBe(false);
  });

  it.skipIf(OWN_ADDRESS === undefined)(
    'what a node enforces is told to its own machine’s loopback, and to nobody who comes from elsewhere',
    async () => {
      const wide = await freePort();
      await stack.putNode('wide', { services: ['births'], listener: { address: '0.0.0.0', port: wide } });
      await stack.startNode('wide');
      const question = { port: wide, tls: false, host: PROBE_HOST, path: PROBE_PATH };
      const here = await eventually('it answers', async () => {
        const answer = await askHere({ ...question, address: '127.0.0.1' });
        return answer.status === 200 ? answer : undefined;
      });
      const { epoch, seq } = stack.app.world.follower.position();
      expect(here.body).toBe(`${epoch}.${seq}\n`);
      const elsewhere = await askHere({ ...question, address: OWN_ADDRESS ?? '' });
      expect(elsewhere.status).toBe(403);
      expect(elsewhere.body).not.toContain(`${seq}`);
      // under another name there is nothing
      expect((await askHere({ ...question, address: '127.0.0.1', host: 'test.example' })).status).toBe(404);
    },
  );

  it('the bound is shown with each roll-out', async () => {
    const { data } = await stack.client.GET('/v1/journal/{seq}/rollout', { params: { path: { seq: '1' } } });
    expect(data).toMatchObject({ bounds: { streamSeconds: STREAM_SECONDS, offlineSeconds: 86_400 } });
  });
});
