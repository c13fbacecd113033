import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Leaf } from './certificates.ts';

/** A node's certificates as `DIR/current/…`: a rotation makes a new folder and swaps the link. */
export interface RotatedFolder {
  /** for `control.envoyTls` */
  readonly envoyTls: Readonly<Record<string, string>>;
  /** for the listener of a node */
  readonly listener: {
    readonly certificateFile: string;
    readonly privateKeyFile: string;
    readonly clientCaFile: string;
    readonly watchedFolder: string;
    readonly clientCertificate: 'optional';
  };
  rotate(leaf: Leaf): Promise<void>;
}

const SECRET = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';

/** @param folder  that exists and is empty */
export async function createRotatedFolder(
  folder: string,
  leaf: Leaf,
  authorities: string,
): Promise<RotatedFolder> {
  const at = (name: string): string => join(folder, 'current', name);
  const files = { certificateFile: at('certificate.pem'), privateKeyFile: at('private-key.pem') };
  const authoritiesFile = at('authorities.pem');
  let versions = 0;
  const rotate: RotatedFolder['rotate'] = async ({ certificate, privateKey }) => {
    versions += 1;
    const version = join(folder, `version-${versions}`);
    await mkdir(version);
    await writeFile(join(version, 'certificate.pem'), certificate);
    await writeFile(join(version, 'private-key.pem'), privateKey, { mode: 0o600 });
    await writeFile(join(version, 'authorities.pem'), authorities);
    await symlink(`version-${versions}`, join(folder, 'next'));
    await rename(join(folder, 'next'), join(folder, 'current'));
  };
  const writeSecret = (name: string, secret: object): Promise<void> => {
    const resources = [{ '@type': SECRET, name, ...secret }];
    return writeFile(join(folder, `${name}.sds.json`), JSON.stringify({ resources }));
  };
  const watchedDirectory = { path: folder };
  await rotate(leaf);
  await writeSecret('certificate', {
    tlsCertificate: {
      certificateChain: { filename: files.certificateFile },
      privateKey: { filename: files.privateKeyFile },
      watchedDirectory,
    },
  });
  await writeSecret('authorities', {
    validationContext: { trustedCa: { filename: authoritiesFile }, watchedDirectory },
  });
  return {
    envoyTls: { ...files, caFile: authoritiesFile, watchedFolder: folder, secretsFolder: folder },
    listener: {
      ...files,
      clientCaFile: authoritiesFile,
      watchedFolder: folder,
      clientCertificate: 'optional',
    },
    rotate,
  };
}
