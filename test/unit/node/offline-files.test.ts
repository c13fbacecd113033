import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/core/json.ts';
import type { NodeConfiguration } from '../../../src/identity/node-configuration.ts';
import { toOfflineFiles } from '../../../src/node/offline-files.ts';
import { isAdsReachable, listenerOf } from '../../../src/node/places.ts';
import { putNode, putService } from '../../../src/registry/commit.ts';
import { buildBootstrap } from '../../../src/xds/bootstrap.ts';
import { buildResources } from '../../../src/xds/build.ts';
import { aNode, aService, createRegistryWorld } from '../../support/registry-world.ts';

const TLS = {
  certificateFile: '/n/c.pem',
  privateKeyFile: '/n/k.pem',
  clientCaFile: '/n/ca.pem',
  clientCertificate: 'optional' as const,
};

function aConfiguration(change: Readonly<Record<string, readonly JsonObject[]>> = {}): NodeConfiguration {
  const { view, commit } = createRegistryWorld();
  commit(putService(view, 'a', aService({ prefix: '/a' })));
  commit(putService(view, 'b', aService({ prefix: '/b' })));
  commit(putNode(view, 'n', aNode(['a', 'b'], { tls: TLS })));
  const options = { authz: { places: [{ address: '127.0.0.1', port: 9191 }], timeoutMs: 250 }, asOfMs: 0 };
  const built = buildResources(view, view.node('n')!, options);
  return {
    v: 1,
    instance: 'test',
    node: 'n',
    position: '1.3',
    notBefore: '',
    expiresAt: '',
    bootstrap: buildBootstrap({ nodeId: 'n', adsAddress: '127.0.0.1', adsPort: 18_000 }),
    resources: {
      ...Object.fromEntries(Object.entries(built).map(([type, each]) => [type, [...each]])),
      ...change,
    } as NodeConfiguration['resources'],
    signature: '',
  };
}

const pathsIn = (value: unknown): readonly string[] =>
  [...JSON.stringify(value).matchAll(/"pathConfigSource":\{"path":"([^"]+)"/g)].map(([, path]) => path ?? '');

describe('what an Envoy is started with while Chancery is away', () => {
  it('asks ADS for nothing, and every file that something refers to is there and holds one resource', () => {
    const { bootstrap, files } = toOfflineFiles(aConfiguration(), '/d/envoy');
    const all = [bootstrap, ...files.values()];
    expect(JSON.stringify(all)).not.toContain('"ads"');
    const paths = new Set(all.flatMap(pathsIn));
    expect([...paths].sort()).toEqual([...files.keys()].map((name) => `/d/envoy/${name}`).sort());
    // clusters and listeners; endpoints of two services and of the authorizers; routes; two secrets
    expect(files.size).toBe(2 + 3 + 1 + 2);
    for (const [name, file] of files) {
      if (name === 'cluster.json') expect(file['resources']).toHaveLength(3);
      else expect([name, file['resources']]).toEqual([name, [expect.anything()]]);
    }
  });

  it('keeps the node, its administration and its limits, and knows no control plane', () => {
    const { bootstrap } = toOfflineFiles(aConfiguration(), '/d');
    expect(bootstrap).toMatchObject({
      node: { id: 'n' },
      admin: {},
      layeredRuntime: {},
      overloadManager: {},
    });
    expect(bootstrap).not.toHaveProperty('staticResources');
  });

  it('is refused when a part can only come over ADS: Envoy would wait for it for ever', () => {
    const odd = { name: 'x', other: { ads: {} } };
    expect(() => toOfflineFiles(aConfiguration({ listener: [odd] }), '/d')).toThrow(/only come over ADS/);
  });
});

describe('where things are', () => {
  it('is read from the resources themselves', () => {
    const [listener] = aConfiguration().resources['listener'] ?? [];
    expect(listenerOf(listener)).toEqual({ address: '127.0.0.1', port: 10_000, tls: true });
    expect(() => listenerOf({})).toThrow(/no listener/);
  });

  it('is nowhere when nobody listens', async () => {
    expect(await isAdsReachable(buildBootstrap({ nodeId: 'n', adsAddress: '127.0.0.1', adsPort: 1 }))).toBe(
      false,
    );
  });
});
