import { afterEach, describe, expect, it } from 'vitest';
import { type App, startApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { ADS_SERVICE_NAME } from '../../src/xds/ads-service.ts';
import { aCheckRequest, type CheckClient, createCheckClient } from '../support/check-client.ts';
import { eventually } from '../support/eventually.ts';
import { askHealth } from '../support/health-client.ts';

const POLICY = `package envoy.authz
allow if input.attributes.request.http.path == "/"
`;

let app: App | undefined;
let client: CheckClient | undefined;

afterEach(async () => {
  client?.close();
  await app?.stop();
});

async function start(...set: string[]): Promise<App> {
  const listeners = ['authz', 'control', 'admin', 'ops'].map((listener) => `${listener}.port=0`);
  const source = { modules: { 'policy.rego': POLICY }, data: {}, entrypoints: ['envoy/authz/allow'] };
  app = await startApp({
    config: loadConfig({ set: [...listeners, ...set] }),
    logger: silentLogger,
    policies: [{ name: 'only', source }],
  });
  return app;
}

describe('the stop', () => {
  it('takes the announcement back and its health first, answers for a while, and only then closes', async () => {
    const { ports, world, stop } = await start('drainSeconds=5');
    const announced = () => world.shared.list('authz/');
    const readyz = async () => (await fetch(`http://127.0.0.1:${ports.ops}/readyz`)).status;
    /** of both gRPC ports, as a whole and of what they serve */
    const health = () =>
      Promise.all([
        askHealth(ports.authz ?? 0),
        askHealth(ports.authz ?? 0, 'envoy.service.auth.v3.Authorization'),
        askHealth(ports.control ?? 0),
        askHealth(ports.control ?? 0, ADS_SERVICE_NAME),
      ]);
    await eventually('it is announced', async () => (await announced()).length === 1);
    expect(JSON.parse((await announced())[0]?.value ?? '')).toEqual({
      address: '127.0.0.1',
      port: ports.authz,
    });
    expect(await readyz()).toBe(200);
    expect(await health()).toEqual(['SERVING', 'SERVING', 'SERVING', 'SERVING']);

    const stopped = stop();
    app = undefined;
    await eventually('it is not announced', async () => (await announced()).length === 0);
    expect(await readyz()).toBe(503);
    expect(await health()).toEqual(['NOT_SERVING', 'NOT_SERVING', 'NOT_SERVING', 'NOT_SERVING']);
    client = createCheckClient(`127.0.0.1:${ports.authz}`);
    expect((await client.check(aCheckRequest())).status).toEqual({});
    expect((await client.check(aCheckRequest({ path: '/denied' }))).status).toEqual({ code: 7 });
    // asked once more: whoever looks all the time must not be told otherwise
    expect(await health()).toEqual(['NOT_SERVING', 'NOT_SERVING', 'NOT_SERVING', 'NOT_SERVING']);

    await stopped;
    await expect(client.check(aCheckRequest())).rejects.toMatchObject({ code: 14 });
    await expect(readyz()).rejects.toThrow();
    await expect(health()).rejects.toMatchObject({ code: 14 });
  });
});

describe('a process behind another address', () => {
  it('announces what the configuration says', async () => {
    const { world } = await start(
      'drainSeconds=0',
      'authz.announce.address=192.0.2.7',
      'authz.announce.port=443',
    );
    const announced = await eventually('it is announced', async () => (await world.shared.list('authz/'))[0]);
    expect(JSON.parse(announced.value)).toEqual({ address: '192.0.2.7', port: 443 });
  });
});
