import { afterEach, describe, expect, it } from 'vitest';
import { ADS_SERVICE_NAME } from '../../src/xds/ads-service.ts';
import { encodeCheckRequest } from '../support/check-client.ts';
import { eventually } from '../support/eventually.ts';
import { connectRawHttp2, FRAME, type RawHttp2 } from '../support/raw-http2.ts';
import { type ServeProcess, startServe } from '../support/serve-process.ts';
import { createPortFiles, type PortFiles } from '../support/tls-files.ts';

const CHECK = '/envoy.service.auth.v3.Authorization/Check';
const ADS = `/${ADS_SERVICE_NAME}/DeltaAggregatedResources`;

let running: ServeProcess | undefined;
let files: PortFiles | undefined;
const clients: RawHttp2[] = [];

afterEach(async () => {
  for (const { socket } of clients.splice(0)) socket.destroy();
  await running?.kill();
  await files?.remove();
});

/** A frozen proxy: its connections are there, with a call, and nothing is read from them any more. */
async function freeze(client: RawHttp2, path: string): Promise<void> {
  clients.push(client);
  client.call(1, path, encodeCheckRequest({}));
  await eventually('the server has spoken', () => client.frames.some(({ type }) => type === FRAME.settings));
  client.socket.pause();
}

describe('a process that is told to stop', { timeout: 120_000 }, () => {
  it('ends by itself, although clients of both gRPC ports read no more, with TLS and without', async () => {
    files = await createPortFiles();
    const { certificateFile, privateKeyFile } = files.files;
    const tls = Object.entries({ certificateFile, privateKeyFile }).flatMap(([key, file]) => [
      '--set',
      `control.tls.${key}=${file}`,
    ]);
    running = await startServe(['policies/quickstart', ...tls]);
    const { authz, control } = running.ports;
    await freeze(await connectRawHttp2(authz), CHECK);
    await freeze(await connectRawHttp2(control, files.authority.certificate), ADS);
    expect(await running.stop()).toBe(0);
  });
});
