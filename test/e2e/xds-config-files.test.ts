import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { buildBootstrap } from '../../src/xds/bootstrap.ts';
import { validateConfig } from '../support/envoy-process.ts';

const read = (name: string) => readFile(new URL(`../../envoy-config/${name}`, import.meta.url), 'utf8');

describe('the committed Envoy configurations', () => {
  it.each(['standalone.yaml', 'ads-bootstrap.json'])('%s is accepted by Envoy', async (name) => {
    const said = await validateConfig(await read(name));
    expect(said).toMatch(/configuration .* OK/);
    expect(said).not.toMatch(/deprecated|unknown/i);
  });

  it('ads-bootstrap.json is what Chancery writes for a node', async () => {
    const written = buildBootstrap({ nodeId: 'edge-1', adsAddress: '127.0.0.1', adsPort: 18000 });
    expect(JSON.parse(await read('ads-bootstrap.json'))).toEqual(written);
  });

  it('a configuration with an unknown field is refused, so that accepted means something', async () => {
    const written = { ...buildBootstrap({ nodeId: 'n', adsAddress: '127.0.0.1', adsPort: 1 }), surprise: 1 };
    await expect(validateConfig(written)).rejects.toThrow(/surprise/);
  });
});
