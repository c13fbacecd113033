import { createPrivateKey } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openNodeFolder } from '../../../src/node/node-folder.ts';
import { createAuthority, type TestAuthority } from '../../support/certificates.ts';

let folder = '';
let authority: TestAuthority;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'chancery-node-'));
  authority = await createAuthority();
});
afterEach(() => rmSync(folder, { recursive: true }));

async function anIdentity() {
  const pems = {
    nodeAuthorities: authority.certificate,
    authorities: authority.certificate,
    configurationKey: 'PEM',
  };
  return { ...(await authority.issue({ uris: ['spiffe://x/node/edge'] })), ...pems };
}

const read = (name: string): string => readFileSync(join(folder, name), 'utf8');

describe('the folder of a node', () => {
  it('shows a key and its certificate through one link, for its owner only', async () => {
    const node = openNodeFolder(folder);
    expect(node.current()).toBeUndefined();
    const identity = await anIdentity();
    node.install(identity);
    expect(node.current()).toMatchObject({
      certificate: identity.certificate,
      privateKey: identity.privateKey,
    });
    const files = readdirSync(join(folder, 'current')).sort();
    expect(files).toEqual([
      'authorities.pem',
      'certificate.pem',
      'configuration-key.pem',
      'node-authorities.pem',
      'private-key.pem',
    ]);
    for (const name of files) expect(statSync(join(folder, 'current', name)).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, readlinkSync(join(folder, 'current')))).mode & 0o777).toBe(0o700);
  });

  it('replaces the pair as one, and keeps the one before for whoever is reading it', async () => {
    const node = openNodeFolder(folder);
    const links: string[] = [];
    for (let round = 0; round < 4; round += 1) {
      node.install(await anIdentity());
      links.push(readlinkSync(join(folder, 'current')));
      const { parsed, privateKey } = node.current() ?? {};
      expect(parsed?.checkPrivateKey(createPrivateKey(privateKey ?? ''))).toBe(true);
    }
    expect(new Set(links).size).toBe(4);
    const kept = readdirSync(join(folder, 'versions')).map((name) => join('versions', name));
    expect(kept.sort()).toEqual(links.slice(-2).sort());
  });

  it('stays as it is when a certificate is for another key', async () => {
    const node = openNodeFolder(folder);
    const first = await anIdentity();
    node.install(first);
    const { privateKey } = await anIdentity();
    const wrong = { ...(await anIdentity()), privateKey };
    expect(() => node.install(wrong)).toThrow(expect.objectContaining({ code: 'internal' }));
    expect(node.current()?.certificate).toBe(first.certificate);
  });

  it('keeps the key of an enrolment until it is finished, so that it can be asked for again', async () => {
    const key = openNodeFolder(folder).enrolmentKey();
    const node = openNodeFolder(folder);
    expect(node.enrolmentKey()).toBe(key);
    expect(statSync(join(folder, 'next-key.pem')).mode & 0o777).toBe(0o600);
    node.install(await anIdentity());
    expect(node.enrolmentKey()).not.toBe(key);
  });

  it('tells Envoy where to read, and which folder to watch', async () => {
    openNodeFolder(folder).install(await anIdentity());
    expect(JSON.parse(read('certificate.sds.json'))).toMatchObject({
      resources: [
        {
          name: 'certificate',
          tlsCertificate: {
            certificateChain: { filename: join(folder, 'current/certificate.pem') },
            privateKey: { filename: join(folder, 'current/private-key.pem') },
            watchedDirectory: { path: folder },
          },
        },
      ],
    });
    expect(JSON.parse(read('authorities.sds.json')).resources[0].validationContext).toEqual({
      trustedCa: { filename: join(folder, 'current/authorities.pem') },
      watchedDirectory: { path: folder },
    });
  });
});
