/**
 * Key and certificates from files, read again when they change: a hint of the file system or the jittered poll makes
 * it look, the bytes decide. What cannot be used is told once and changes nothing: the last good ones stay.
 */
import { constants, X509Certificate } from 'node:crypto';
import { type FSWatcher, readFileSync, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { Failure } from '../core/failure.ts';
import type { TlsCredentials } from '../core/tls.ts';
import { jittered, type RandomBytes } from '../journal/random.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface TlsFileNames {
  readonly certificateFile: string;
  readonly privateKeyFile: string;
  /** with it, clients must show a certificate of these authorities */
  readonly clientCaFile?: string;
  /** with it, clients must show a certificate of these authorities, or of those of `TlsFilesDeps.nodes` */
  readonly enrolledNodes?: boolean;
}

/** The authorities of this instance's own nodes, as the journal has them, and what became of their certificates. */
export interface NodeAuthorities {
  /** PEM, one each */
  certificates(): readonly string[];
  /** as `TlsCredentials.refusalOf` */
  refusalOf(certificate: Uint8Array): string | undefined;
  /** @returns a function that ends it */
  onChange(listener: (what: 'authorities' | 'certificates') => void): () => void;
}

export interface TlsFilesDeps {
  /** where the names stand in the configuration, for example `authz.tls` */
  readonly option: string;
  readonly logger: Logger;
  readonly random: RandomBytes;
  readonly nodes?: NodeAuthorities;
  /** default 10 s */
  readonly pollMs?: number;
}

interface Loaded {
  readonly context: SecureContextOptions;
  /** the same bytes, the same text */
  readonly content: string;
  readonly notAfter: string;
}

const POLL_MS = 10_000;
/** Several files change one after the other. */
const QUIET_MS = 100;
const WORLD_READABLE = 0o004;
const MAX_FILE_BYTES = 1024 * 1024;
/** A resumed session would show a certificate that was verified long ago. */
const NO_TICKETS = constants.SSL_OP_NO_TICKET;

/** @throws Failure request_malformed  when the files cannot be used; `detail` says which and why, without its path */
export function openTlsFiles(files: TlsFileNames, deps: TlsFilesDeps): TlsCredentials {
  const { option, logger, random, nodes, pollMs = POLL_MS } = deps;
  const listeners: ((context: SecureContextOptions) => void)[] = [];
  const doubters: (() => void)[] = [];
  const ofNodes = (): readonly string[] => (files.enrolledNodes && nodes?.certificates()) || [];
  let loaded = load(files, option, ofNodes());
  let lastTrouble = '';

  const look = (): void => {
    try {
      const next = load(files, option, ofNodes());
      lastTrouble = '';
      if (next.content === loaded.content) return;
      loaded = next;
      for (const listener of listeners) listener(next.context);
      logger.info({ notAfter: next.notAfter }, 'the certificate of a listener was read again');
    } catch (error) {
      const { detail, cause } = Failure.from(error);
      if (detail === lastTrouble) return;
      lastTrouble = detail;
      logger.error({ detail, err: cause }, 'a changed certificate cannot be used; the last one stays');
    }
  };

  let soon: NodeJS.Timeout | undefined;
  const hint = (): void => {
    clearTimeout(soon);
    soon = setTimeout(look, QUIET_MS).unref();
  };
  const watchers = watchFolders(files, hint);
  let poll: NodeJS.Timeout | undefined;
  const pollAgain = (): void => {
    poll = setTimeout(
      () => {
        look();
        pollAgain();
      },
      jittered(pollMs, random),
    ).unref();
  };
  pollAgain();
  const unfollow = nodes?.onChange((what) => {
    if (what === 'authorities') look();
    else for (const doubt of doubters) doubt();
  });

  return {
    verifiesClients: files.clientCaFile !== undefined || files.enrolledNodes === true,
    ...(nodes && { refusalOf: (certificate) => nodes.refusalOf(certificate) }),
    onDoubt: (listener) => void doubters.push(listener),
    context: () => loaded.context,
    onChange: (listener) => void listeners.push(listener),
    close() {
      unfollow?.();
      clearTimeout(soon);
      clearTimeout(poll);
      for (const watcher of watchers) watcher.close();
      listeners.length = 0;
      doubters.length = 0;
    },
  };
}

function load(files: TlsFileNames, option: string, ofNodes: readonly string[]): Loaded {
  const { certificateFile, privateKeyFile, clientCaFile, enrolledNodes } = files;
  const cert = read(certificateFile, `${option}.certificateFile`);
  const key = read(privateKeyFile, `${option}.privateKeyFile`);
  if ((statSync(privateKeyFile).mode & WORLD_READABLE) !== 0) {
    throw new Failure(
      'request_malformed',
      `${option}.privateKeyFile can be read by everybody on this machine`,
    );
  }
  const ca = clientCaFile === undefined ? undefined : read(clientCaFile, `${option}.clientCaFile`);
  // Node takes an authority file without any certificate for one with none to trust, and says nothing
  if (ca !== undefined) parseCertificate(ca, `${option}.clientCaFile`);
  const { validTo } = parseCertificate(cert, `${option}.certificateFile`);
  const trusted = [...(ca === undefined ? [] : [ca]), ...ofNodes];
  const context: SecureContextOptions = {
    cert,
    key,
    // a list also when it is empty: left out, it would be everybody whom this machine trusts
    ...(ca === undefined && !enrolledNodes ? {} : { ca: trusted }),
    minVersion: 'TLSv1.2',
    secureOptions: NO_TICKETS,
  };
  try {
    createSecureContext(context);
  } catch (cause) {
    throw new Failure('request_malformed', `${option}: key and certificates do not fit together`, { cause });
  }
  return { context, content: [cert, key, ...trusted].join('\n'), notAfter: validTo };
}

function read(file: string, option: string): string {
  try {
    if (statSync(file).size > MAX_FILE_BYTES) throw new RangeError('the file is too large');
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Failure('request_malformed', `${option} cannot be read`, { cause });
  }
}

function parseCertificate(pem: string, option: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new Failure('request_malformed', `${option} holds no certificate`, { cause });
  }
}

/** The folders and not the files: a file is often replaced by a rename, of itself or of a link on the way to it. */
function watchFolders(files: TlsFileNames, onHint: () => void): readonly FSWatcher[] {
  const { certificateFile, privateKeyFile, clientCaFile } = files;
  const folders = new Set([certificateFile, privateKeyFile, clientCaFile ?? certificateFile].map(dirname));
  const watchers: FSWatcher[] = [];
  for (const folder of folders) {
    try {
      watchers.push(watch(folder, { persistent: false }, onHint).on('error', () => {}));
    } catch {
      // no hints here; the poll looks all the same
    }
  }
  return watchers;
}
