import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EnvoyNode } from '../../src/registry/model.ts';
import { createAuthority, type Leaf, type LeafOptions, type TestAuthority } from './certificates.ts';
import type { ClientTls } from './http-request.ts';

/** An authority, and the files that a TLS listener reads on its node. */
export interface TlsFiles {
  readonly listener: NonNullable<EnvoyNode['listener']['tls']>;
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

/** Its certificate has this name too: the clients of grpc-js on Node 26 cannot verify an IP address. */
export const PORT_NAME = 'port.test';

/** What a port of Chancery reads, and the authority of its clients. */
export interface PortFiles {
  readonly authority: TestAuthority;
  readonly files: {
    readonly certificateFile: string;
    readonly privateKeyFile: string;
    readonly clientCaFile: string;
  };
  /** Puts other text in a file's place, as a rotation does: by a rename. */
  replace(file: 'certificateFile' | 'privateKeyFile' | 'clientCaFile', pem: string): Promise<void>;
  /** @returns a certificate for the port, not put in place yet */
  issueServer(): Promise<Leaf>;
  remove(): Promise<void>;
}

export async function createPortFiles(): Promise<PortFiles> {
  const authority = await createAuthority();
  const issueServer = (): Promise<Leaf> =>
    authority.issue({ dnsNames: [PORT_NAME], ipAddresses: ['127.0.0.1'] });
  const folder = await mkdtemp(join(tmpdir(), 'chancery-port-'));
  const files = {
    certificateFile: join(folder, 'port.pem'),
    privateKeyFile: join(folder, 'port.key'),
    clientCaFile: join(folder, 'nodes.pem'),
  };
  const replace: PortFiles['replace'] = async (file, pem) => {
    await writeFile(`${files[file]}.new`, pem, { mode: 0o600 });
    await rename(`${files[file]}.new`, files[file]);
  };
  const server = await issueServer();
  await replace('certificateFile', server.certificate);
  await replace('privateKeyFile', server.privateKey);
  await replace('clientCaFile', authority.certificate);
  return {
    authority,
    files,
    replace,
    issueServer,
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Each node has other files of these names: its Envoy finds them in the folder where it runs. */
const NODE_FILES = { certificateFile: './node.pem', privateKeyFile: './node.key', caFile: './chancery.pem' };

/** Settings for mTLS on both gRPC ports, and for the nodes that call them. */
export function mtlsSettings({ files }: PortFiles): readonly string[] {
  const set = (prefix: string, values: object): string[] =>
    Object.entries(values).map(([key, value]) => `${prefix}.${key}=${value}`);
  return [...set('authz.tls', files), ...set('control.tls', files), ...set('control.envoyTls', NODE_FILES)];
}

/** @param options  for a certificate that is not as it should be */
export function issueNode({ authority }: PortFiles, id: string, options?: LeafOptions): Promise<Leaf> {
  return authority.issue({ uris: [`spiffe://example.test/node/${id}`], ...options });
}

/** What those settings name, for the Envoy of a node: path → text. */
export function nodeFiles({ authority }: PortFiles, node: Leaf): Readonly<Record<string, string>> {
  return {
    [NODE_FILES.certificateFile]: node.certificate,
    [NODE_FILES.privateKeyFile]: node.privateKey,
    [NODE_FILES.caFile]: authority.certificate,
  };
}
