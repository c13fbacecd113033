import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAuthority, type TestAuthority } from '../support/certificates.ts';
import { untilEnforced } from '../support/enforced.ts';
import { type EnvoyProcess, freePort } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { sendRequest } from '../support/http-request.ts';
import { startOpenLoop } from '../support/open-loop.ts';
import { createRotatedFolder, type RotatedFolder } from '../support/rotated-folder.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const ALICE = 'spiffe://mesh.example/client/alice';
const BOB = 'spiffe://mesh.example/client/bob';
const PER_SECOND = 200;
const ROUNDS = 20;
/** Both say the same of what the load asks. */
const readOnly = (mark: string): string => `package envoy.authz
default allow := {"allowed": false, "http_status": 403}
allow := {"allowed": true, "response_headers_to_add": {"x-mark": "${mark}"}} if {
	input.attributes.request.http.method == "GET"
}
`;
const LOAD = [
  { path: '/granted/x', method: 'GET', status: 200 },
  { path: '/closed/x', method: 'GET', status: 403 },
  { path: '/asked/x', method: 'GET', status: 200 },
  { path: '/asked/x', method: 'DELETE', status: 403 },
  { path: '/moving/x', method: 'GET', status: 200 },
];

describe('a hundred changes under 200 requests a second', () => {
  let authority: TestAuthority;
  let folder = '';
  let node: RotatedFolder;
  let stack: Stack;
  let leaving: Upstream;
  let envoy: EnvoyProcess;
  let port = 0;
  let revisions: readonly string[] = [];
  let changes = 0;

  beforeAll(async () => {
    authority = await createAuthority();
    folder = await mkdtemp(join(tmpdir(), 'chancery-hundred-'));
    node = await createRotatedFolder(folder, await issueServer(), authority.certificate);
    // what a busy machine delays is not what fails here
    stack = await startStack({ set: ['control.checkTimeoutMs=5000'] });
    leaving = await startUpstream();
    port = await freePort();
    revisions = [await stack.publish('mark', readOnly('a')), await stack.publish('mark', readOnly('b'))];
    await stack.release('mark', revisions[0] ?? '');
    await stack.putService('granted', { operations: operations(false) });
    await stack.putService('closed', {});
    await stack.putService('asked', { access: 'policy', policy: 'mark' });
    await stack.putService('moving', { endpoints: endpoints(true) });
    await stack.putGrant('granted', 'alice', ALICE);
    await stack.putGrant('moving', 'alice', ALICE);
    await stack.putNode('edge', {
      services: ['granted', 'closed', 'asked', 'moving'],
      listener: { address: '127.0.0.1', port, tls: node.listener },
    });
    envoy = await stack.startNode('edge');
    const tls = { ca: authority.certificate, ...(await authority.issue({ uris: [ALICE] })) };
    for (const { path, method, status } of LOAD) {
      await eventually(
        `${method} ${path} is ${status}`,
        async () => (await sendRequest(port, path, { method, tls })).status === status,
      );
    }
  });
  afterAll(async () => {
    await stack?.stop();
    await leaving?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const issueServer = () => authority.issue({ ipAddresses: ['127.0.0.1'] });
  const operations = (more: boolean) => [
    { id: 'x', method: 'GET', path: '/granted/x' },
    ...(more ? [{ id: 'y', method: 'GET', path: '/granted/y' }] : []),
  ];
  const endpoints = (both: boolean) =>
    [stack.upstream, ...(both ? [leaving] : [])].map((each) => ({ address: '127.0.0.1', port: each.port }));
  const enforced = () => untilEnforced(stack, 'edge', { address: '127.0.0.1', port, tls: true });
  const change = async (kind: string, round: number): Promise<void> => {
    const odd = round % 2 === 1;
    if (kind === 'policy') await stack.release('mark', revisions[odd ? 1 : 0] ?? '');
    if (kind === 'route') await stack.putService('granted', { operations: operations(!odd) });
    if (kind === 'endpoint') await stack.putService('moving', { endpoints: endpoints(odd) });
    if (kind === 'grant')
      await (odd ? stack.deleteGrant('granted', 'bob') : stack.putGrant('granted', 'bob', BOB));
    if (kind === 'certificate') await node.rotate(await issueServer());
    changes += 1;
  };

  it('fail no request and drop no connection; Envoy goes on as it is, and a removed endpoint gets nothing', async () => {
    const before = {
      pid: envoy.pid,
      epoch: await envoy.stat('server.hot_restart_epoch'),
      pushes: await envoy.stat('http.chancery.rds.chancery.update_success'),
    };
    const leaf = await authority.issue({ uris: [ALICE] });
    const load = startOpenLoop({
      ...{ port, path: '/granted/x', ca: authority.certificate, perSecond: PER_SECOND },
      ...{ certificate: leaf.certificate, privateKey: leaf.privateKey },
      next: (index) => LOAD[index % LOAD.length] ?? { method: 'GET', status: 200 },
    });
    let lateHits = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      await change('endpoint', round);
      const removed = round % 2 === 0;
      if (removed) await enforced();
      const hits = leaving.count();
      for (const kind of ['policy', 'route', 'grant', 'certificate']) await change(kind, round);
      if (removed) lateHits += leaving.count() - hits;
      // the changes of a round may be pushed as one; those of two rounds not
      await enforced();
    }
    const counts = await load.stop();
    process.stdout.write(
      `${JSON.stringify({ case: 'hundred-changes', row: 'B2', changes, ...counts, lateHits })}\n`,
    );

    expect(changes).toBe(100);
    expect(counts.others).toEqual({});
    expect(counts.expected).toBe(counts.sent);
    expect(counts.sent).toBeGreaterThan(PER_SECOND);
    expect(counts.dropped).toBe(0);
    expect(leaving.count()).toBeGreaterThan(0);
    expect(lateHits).toBe(0);
    expect(envoy.running()).toBe(true);
    expect({
      pid: envoy.pid,
      epoch: await envoy.stat('server.hot_restart_epoch'),
    }).toEqual({ pid: before.pid, epoch: before.epoch });
    expect(await envoy.stat('http.chancery.rds.chancery.update_success')).toBeGreaterThanOrEqual(
      before.pushes + ROUNDS,
    );
    expect(await envoy.stat('http.chancery.rds.chancery.update_rejected')).toBe(0);
    expect(await envoy.stat('listener_manager.listener_modified')).toBe(0);
    expect(await envoy.stat('listener_manager.total_listeners_draining')).toBe(0);
  });
});
