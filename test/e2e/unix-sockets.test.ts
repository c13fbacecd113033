import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectForwarded, expectRefused } from '../support/counted.ts';
import { freePort } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { sendRequest } from '../support/http-request.ts';
import { type Stack, startStack } from '../support/stack.ts';

const READ_ONLY = `package envoy.authz
default allow := {"allowed": false, "http_status": 403}
allow := true if input.attributes.request.http.method == "GET"
`;

describe('a real Envoy over Unix sockets', () => {
  let stack: Stack;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chancery-unix-'));
    const set = ['authz', 'control'].map((name) => `${name}.address=unix:${join(folder, `${name}.sock`)}`);
    stack = await startStack({ set });
    await stack.publishAndRelease('read-only', READ_ONLY);
    await stack.putService('asked', { access: 'policy', policy: 'read-only' });
  });
  afterAll(async () => {
    await stack?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('gets its configuration and its decisions', async () => {
    const port = await freePort();
    await stack.putNode('edge', { services: ['asked'], listener: { address: '127.0.0.1', port } });
    const envoy = await stack.startNode('edge');
    const send = (method: string) => sendRequest(port, '/asked', { method });
    await eventually('a request is allowed', async () => (await send('GET')).status === 200);
    await expectForwarded(stack.upstream, () => send('GET'));
    await expectRefused(stack.upstream, () => send('DELETE'), 403);
    expect(await envoy.get('/clusters')).toContain(`chancery-authz::${join(folder, 'authz.sock')}::`);
  });
});
