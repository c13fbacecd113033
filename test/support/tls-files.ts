import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Node } from '../../src/registry/model.ts';
import { createAuthority, type LeafOptions } from './certificates.ts';
import type { ClientTls } from './http-request.ts';

/** An authority, and the files that a TLS listener reads on its node. */
export interface TlsFiles {
  readonly listener: NonNullable<Node['listener']['tls']>;
  /** what a client shows whose certificate says this; without options it shows none */
  client(options?: LeafOptions): Promise<ClientTls>;
  remove(): Promise<void>;
}

export async function createTlsFiles(
  clientCertificate: 'optional' | 'required' = 'optional',
): Promise<TlsFiles> {
  const authority = await createAuthority();
  const server = await authority.issue({ dnsNames: ['test.example'], ipAddresses: ['127.0.0.1'] });
  const folder = await mkdtemp(join(tmpdir(), 'chancery-tls-'));
  const write = async (name: string, pem: string): Promise<string> => {
    await writeFile(join(folder, name), pem, { mode: 0o600 });
    return join(folder, name);
  };
  return {
    listener: {
      certificateFile: await write('server.pem', server.certificate),
      privateKeyFile: await write('server.key', server.privateKey),
      clientCaFile: await write('ca.pem', authority.certificate),
      clientCertificate,
    },
    client: async (options) => ({
      ca: authority.certificate,
      ...(options && (await authority.issue(options))),
    }),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
