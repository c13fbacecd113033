/**
 * What a node keeps of its identity. `current` is a link to the folder of one certificate with its key, and a rename
 * puts the next in its place: whoever reads through it finds a pair that fits. Envoy is told of that by its SDS files.
 *
 * ```
 * DIR/current → versions/<name>/{certificate,private-key,authorities,node-authorities,configuration-key}.pem
 * DIR/{certificate,authorities}.sds.json     secrets for Envoy (`control.envoyTls.secretsFolder: DIR`)
 * DIR/next-key.pem                           the key of an enrolment that is not finished
 * DIR/configuration.json                     what the node may be started with while Chancery is away, signed
 * DIR/envoy/                                 what its Envoy was started with last (`chancery node run`)
 * ```
 */
import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { Failure } from '../core/failure.ts';
import { createNodeKey } from '../identity/certificate-request.ts';

export interface NodeIdentity {
  /** PEM */
  readonly certificate: string;
  readonly privateKey: string;
}

export interface NewNodeIdentity extends NodeIdentity {
  /** PEM: of the certificates of nodes */
  readonly nodeAuthorities: string;
  /** PEM: of the certificates that Chancery's ports show; undefined: those of the machine */
  readonly authorities: string | undefined;
  /** PEM: with which Chancery signs what this node keeps */
  readonly configurationKey: string;
}

export interface InstalledIdentity extends NodeIdentity {
  readonly parsed: X509Certificate;
  /** undefined: it came without one */
  readonly authorities: string | undefined;
  readonly configurationKey: string | undefined;
}

export interface NodeFolder {
  /** undefined: there is none yet */
  current(): InstalledIdentity | undefined;
  /**
   * PEM of the key for an enrolment; the same one until `install`, so that whoever was interrupted after the token was
   * used can ask again with the same key.
   */
  enrolmentKey(): string;
  /** @throws Failure internal  when key and certificate do not fit; what was there stays */
  install(next: NewNodeIdentity): void;
}

/** @throws Failure internal  when the folder cannot be made */
export function openNodeFolder(path: string): NodeFolder {
  const folder = resolve(path);
  const versions = join(folder, 'versions');
  const current = join(folder, 'current');
  const nextKey = join(folder, 'next-key.pem');
  try {
    mkdirSync(versions, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new Failure('internal', 'the folder of --out cannot be made', { cause });
  }

  return {
    current() {
      if (!existsSync(join(current, 'certificate.pem'))) return undefined;
      const [certificate = '', privateKey = ''] = ['certificate.pem', 'private-key.pem'].map((name) =>
        readFileSync(join(current, name), 'utf8'),
      );
      const [authorities, configurationKey] = ['authorities.pem', 'configuration-key.pem'].map((name) =>
        existsSync(join(current, name)) ? readFileSync(join(current, name), 'utf8') : undefined,
      );
      const parsed = new X509Certificate(certificate);
      return { certificate, privateKey, parsed, authorities, configurationKey };
    },

    enrolmentKey() {
      if (existsSync(nextKey)) return readFileSync(nextKey, 'utf8');
      const key = createNodeKey();
      replaceFile(nextKey, key);
      return key;
    },

    install({ certificate, privateKey, nodeAuthorities, authorities, configurationKey }) {
      const parsed = new X509Certificate(certificate);
      if (!parsed.checkPrivateKey(createPrivateKey(privateKey))) {
        throw new Failure('internal', 'the certificate that was issued is not for the key of this node');
      }
      const before = existsSync(current) ? basename(readlinkSync(current)) : '';
      const name = `${parsed.validToDate.toISOString().replaceAll(/\D/g, '')}-${randomBytes(4).toString('hex')}`;
      const version = join(versions, name);
      mkdirSync(version, { mode: 0o700 });
      const write = (file: string, text: string): void =>
        writeFileSync(join(version, file), text, { mode: 0o600, flush: true });
      write('private-key.pem', privateKey);
      write('certificate.pem', certificate);
      write('node-authorities.pem', nodeAuthorities);
      write('configuration-key.pem', configurationKey);
      if (authorities !== undefined) write('authorities.pem', authorities);
      syncFolder(version);
      syncFolder(versions);
      for (const [secret, text] of Object.entries(secretsOf(folder))) {
        if (secret === 'authorities' && authorities === undefined) continue;
        replaceFile(join(folder, `${secret}.sds.json`), text);
      }
      rmSync(`${current}.next`, { force: true });
      symlinkSync(join('versions', name), `${current}.next`);
      renameSync(`${current}.next`, current);
      syncFolder(folder);
      rmSync(nextKey, { force: true });
      // whoever has just opened the one before may still be reading it
      for (const old of readdirSync(versions)) {
        if (old !== name && old !== before) rmSync(join(versions, old), { recursive: true, force: true });
      }
    },
  };
}

/** Files of `envoy.config.core.v3.PathConfigSource`, one secret each. */
function secretsOf(folder: string): Readonly<Record<'certificate' | 'authorities', string>> {
  const at = (file: string) => ({ filename: join(folder, 'current', file) });
  // the link is replaced in this folder; Envoy reads both files of a pair after that
  const watchedDirectory = { path: folder };
  const secret = (name: string, member: object): string => {
    const type = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';
    return `${JSON.stringify({ resources: [{ '@type': type, name, ...member }] }, undefined, 2)}\n`;
  };
  return {
    certificate: secret('certificate', {
      tlsCertificate: {
        certificateChain: at('certificate.pem'),
        privateKey: at('private-key.pem'),
        watchedDirectory,
      },
    }),
    authorities: secret('authorities', {
      validationContext: { trustedCa: at('authorities.pem'), watchedDirectory },
    }),
  };
}

/** For the owner only; whoever reads finds the one or the other, and never a part. */
export function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
