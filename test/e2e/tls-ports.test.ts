import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EnvoyProcess, freePort } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { sendRequest } from '../support/http-request.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { createPortFiles, type PortFiles } from '../support/tls-files.ts';

const READ_ONLY = `package envoy.authz
default allow := {"allowed": false, "http_status": 403}
allow := true if input.attributes.request.http.method == "GET"
`;

describe('a real Envoy over mTLS', () => {
  let port: PortFiles;
  let stack: Stack;
  const envoys: EnvoyProcess[] = [];

  beforeAll(async () => {
    port = await createPortFiles();
    const { certificateFile, privateKeyFile, clientCaFile } = port.files;
    const node = await port.authority.issue({ uris: ['spiffe://example.test/node/edge'] });
    const own = { certificateFile: `${certificateFile}.node`, privateKeyFile: `${privateKeyFile}.node` };
    await writeFile(own.certificateFile, node.certificate);
    await writeFile(own.privateKeyFile, node.privateKey, { mode: 0o600 });
    const set = (prefix: string, values: object): string[] =>
      Object.entries(values).map(([key, value]) => `${prefix}.${key}=${value}`);
    stack = await startStack({
      set: [
        ...set('authz.tls', port.files),
        ...set('control.tls', port.files),
        ...set('control.envoyTls', { ...own, caFile: clientCaFile }),
      ],
    });
    await stack.publishAndRelease('read-only', READ_ONLY);
    await stack.putService('asked', { access: 'policy', policy: 'read-only' });
  });
  afterAll(async () => {
    await stack.stop();
    await port.remove();
  });

  async function startNode(id: string): Promise<number> {
    const listener = { address: '127.0.0.1', port: await freePort() };
    await stack.putNode(id, { services: ['asked'], listener });
    envoys.push(await stack.startNode(id));
    return listener.port;
  }

  it('gets its configuration and its decisions, from the bootstrap alone', async () => {
    const listener = await startNode('edge');
    const status = async (method: string): Promise<number> =>
      (await sendRequest(listener, '/asked', { method })).status;
    await eventually('a request is allowed', async () => (await status('GET')) === 200);
    const hits = stack.upstream.count();
    expect(await status('DELETE')).toBe(403);
    expect(stack.upstream.count()).toBe(hits);
    expect(await status('GET')).toBe(200);
    expect(stack.upstream.count()).toBe(hits + 1);
  });

  it('gets nothing under the name of another node', async () => {
    const listener = await startNode('other');
    const refused = async (): Promise<boolean> =>
      ((await envoys.at(-1)?.stat('control_plane.connected_state')) ?? 0) === 0 &&
      ((await envoys.at(-1)?.stat('cluster_manager.cds.update_failure')) ?? 0) > 0;
    await eventually('its stream is refused', refused);
    await expect(sendRequest(listener, '/asked')).rejects.toThrow(/ECONNREFUSED/);
    const { data } = await stack.client.GET('/v1/nodes/{id}/status', { params: { path: { id: 'other' } } });
    expect(data?.connected).toBe(false);
  });
});
