import { describe, expect, it } from 'vitest';
import {
  deriveConfigurationKey,
  type NodeConfiguration,
  publicPem,
  signConfiguration,
  toConfigurationText,
  verifyConfiguration,
} from '../../../src/identity/node-configuration.ts';

const KEY = deriveConfigurationKey(new Uint8Array(120).fill(7));
const NOW = Date.parse('2026-06-01T12:00:00Z');

function signed(change: Partial<NodeConfiguration> = {}, key = KEY): string {
  const configuration = {
    v: 1 as const,
    instance: 'test',
    node: 'edge',
    position: '1.7',
    notBefore: '2026-06-01T11:59:00.000Z',
    expiresAt: '2026-06-02T12:00:00.000Z',
    bootstrap: { node: { id: 'edge' } },
    resources: { listener: [{ name: 'l', note: 'ä\u001f' }] },
    ...change,
  };
  return toConfigurationText(signConfiguration(configuration, key));
}
const verify = (text: string, nowMs = NOW, node = 'edge'): NodeConfiguration =>
  verifyConfiguration(text, { publicKey: publicPem(KEY), node, nowMs });
const refusal = (code: string): unknown => expect.objectContaining({ code });

describe('a configuration that a node keeps', () => {
  it('is what was signed', () => {
    expect(verify(signed())).toMatchObject({ node: 'edge', position: '1.7' });
  });

  it('is refused with any byte of it changed', () => {
    const good = Buffer.from(signed());
    for (let at = 0; at < good.length; at += 1) {
      for (const flip of [1, 0x20]) {
        const bad = Buffer.from(good);
        bad[at] = (bad[at] ?? 0) ^ flip;
        expect(() => verify(bad.toString('utf8')), `byte ${at}`).toThrow();
      }
    }
  });

  it('is refused in another spelling, although it says the same', () => {
    expect(() => verify(`${signed()}\n`)).toThrow(refusal('request_malformed'));
    expect(() => verify(signed().replace('\\u001f', '\\u001F'))).toThrow(refusal('request_malformed'));
  });

  it('is refused when it is that of another node, even where that node is named as expected', () => {
    expect(() => verify(signed({ node: 'other' }))).toThrow(refusal('peer_mismatch'));
    expect(() => verify(signed(), NOW, 'other')).toThrow(refusal('peer_mismatch'));
  });

  it('is refused from the moment on that it expires, and before it holds', () => {
    const text = signed();
    expect(verify(text, Date.parse('2026-06-02T11:59:59.999Z'))).toMatchObject({ node: 'edge' });
    expect(() => verify(text, Date.parse('2026-06-02T12:00:00.000Z'))).toThrow(refusal('credential_expired'));
    expect(() => verify(text, Date.parse('2026-06-01T11:58:59.999Z'))).toThrow(refusal('credential_invalid'));
  });

  it('is refused when another authority has signed it', () => {
    const other = deriveConfigurationKey(new Uint8Array(120).fill(8));
    expect(() => verify(signed({}, other))).toThrow(refusal('credential_invalid'));
  });
});
