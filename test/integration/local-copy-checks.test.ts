import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient } from '../../src/client/client.ts';
import { createAuthority } from '../support/certificates.ts';
import {
  aCheckRequest,
  type CheckAnswer,
  type CheckClient,
  createCheckClient,
} from '../support/check-client.ts';
import { eventually } from '../support/eventually.ts';
import {
  exchangeToken,
  type Instance,
  initInstance,
  type ServeProcess,
  startServe,
} from '../support/serve-process.ts';
import { createStackAdmin, type StackAdmin } from '../support/stack.ts';

const POLICY = `package envoy.authz
allow := {"allowed": true, "headers": {"x-by": "the release"}} if input.attributes.request.http.method == "GET"
`;
const SHOP = 'spiffe://mesh/shop';
const FORMER = 'spiffe://mesh/former';
const STORE_FILES = ['', '-wal', '-shm'];

describe('a process that started while its store was away', { timeout: 240_000 }, () => {
  let instance: Instance;
  let running: ServeProcess | undefined;
  let client: CheckClient | undefined;
  let token = '';
  const certificates = new Map<string, string>();

  const start = async (): Promise<ServeProcess> => {
    const localCopy = `journal.localCopy=${join(instance.folder, 'copy')}`;
    const flags = ['--config', instance.configFile, '--set', localCopy, '--set', 'journal.pollMs=100'];
    running = await startServe(flags);
    client?.close();
    client = createCheckClient(`127.0.0.1:${running.ports.authz}`);
    return running;
  };
  const moveStore = async (from: string, to: string): Promise<void> => {
    for (const suffix of STORE_FILES) await rename(from + suffix, to + suffix).catch(() => {});
  };
  const admin = (): StackAdmin => {
    const baseUrl = `http://127.0.0.1:${running?.ports.admin}`;
    return createStackAdmin(createClient({ baseUrl, token, maxAttempts: 1 }), { port: 9 });
  };
  const readyz = async (): Promise<string> =>
    (await fetch(`http://127.0.0.1:${running?.ports.ops}/readyz`)).text();
  /** @param service  undefined: an Envoy that names none, which the only policy answers */
  const check = async (service: string | undefined, who: string, method = 'GET'): Promise<CheckAnswer> => {
    if (client === undefined) throw new Error('nothing runs');
    const contextExtensions = service === undefined ? {} : { context_extensions: { service } };
    const source = { principal: who, certificate: certificates.get(who) };
    return client.check(aCheckRequest({ method }, { source, ...contextExtensions }));
  };
  const denied = { denied_response: { status: { code: 'Forbidden' } } };
  const allowed = {
    status: {},
    ok_response: { headers: [{ header: { key: 'x-by', value: 'the release' } }] },
  };

  beforeAll(async () => {
    const authority = await createAuthority();
    for (const who of [SHOP, FORMER]) {
      const { certificate } = await authority.issue({ uris: [who] });
      certificates.set(who, encodeURIComponent(certificate));
    }
    instance = await initInstance();
    ({ token } = await exchangeToken(await start(), instance.oneTimeToken));
    await admin().publishAndRelease('main', POLICY);
    await admin().putService('ledger', { access: 'grants-and-policy', policy: 'main' });
    await admin().putService('closed', { access: 'grants' });
    for (const [id, who] of [
      ['shop', SHOP],
      ['former', FORMER],
    ] as const) {
      await admin().putGrant('ledger', id, who);
    }
    await admin().deleteGrant('ledger', 'former');
    // an orderly end copies what has been applied
    await running?.stop();
  });
  afterAll(async () => {
    client?.close();
    await running?.kill();
    await instance?.remove();
  });

  it('answers Checks by the released policy and by grants, allows and denies, and follows again afterwards', async () => {
    const aside = `${instance.storeFile}.aside`;
    await moveStore(instance.storeFile, aside);
    const { output } = await start();
    expect(output()).toContain('the start is from the local copy');
    expect(await readyz()).toContain('store_unavailable');

    expect(await check(undefined, SHOP)).toMatchObject(allowed);
    expect(await check(undefined, SHOP, 'DELETE')).toMatchObject(denied);
    expect(await check('ledger', SHOP)).toMatchObject(allowed);
    expect(await check('ledger', SHOP, 'DELETE')).toMatchObject(denied);
    expect(await check('ledger', FORMER)).toMatchObject(denied);
    expect(await check('closed', SHOP)).toMatchObject(denied);
    expect(await check('unknown', SHOP)).toMatchObject(denied);
    expect(await readyz()).toContain('store_unavailable');

    await moveStore(aside, instance.storeFile);
    await eventually('it follows again', async () => !(await readyz()).includes('store_unavailable'));
    await admin().deleteGrant('ledger', 'shop');
    await eventually('the revocation has arrived', async () => {
      const { http_response } = await check('ledger', SHOP);
      return http_response === 'denied_response';
    });
    expect(await check(undefined, SHOP)).toMatchObject(allowed);
    await running?.stop();
  });
});
