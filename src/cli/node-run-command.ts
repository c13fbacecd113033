/** `chancery node run`: on a node, runs its Envoy; `chancery node probe`: asks its listener what it enforces. */
import type { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure } from '../core/failure.ts';
import { systemRandom } from '../journal/random.ts';
import { createContact } from '../node/contact.ts';
import { openKeptConfiguration } from '../node/kept-configuration.ts';
import { openNodeFolder } from '../node/node-folder.ts';
import { probePosition } from '../node/probe.ts';
import { runNode } from '../node/run.ts';
import { parseAdminUrl } from './admin-url.ts';
import { type EnrolFlags, enrolCommand, readAuthorities } from './node-enrol-command.ts';
import { complain, say } from './output.ts';
import { UsageError } from './usage-error.ts';

export interface RunFlags extends Omit<EnrolFlags, 'renew' | 'watch'> {
  readonly id: string;
  readonly envoy?: string;
  readonly concurrency?: string;
  readonly adminPort?: string;
}

const ENVOY = fileURLToPath(new URL('../../.tools/envoy-1.40.0/envoy', import.meta.url));
const LOOK_MS = 1_000;

/**
 * @param stop  ends it, and Envoy
 * @returns the exit code
 * @throws UsageError  the flags
 * @throws Failure, ApiError  as `runNode`
 */
export async function runCommand(flags: RunFlags, stop: AbortSignal): Promise<number> {
  const path = resolve(flags.out);
  const folder = openNodeFolder(path);
  const binary = flags.envoy ?? ENVOY;
  if (!existsSync(binary)) throw new UsageError('there is no Envoy: say with --envoy where it is');
  const concurrency = parseNumber('--concurrency', flags.concurrency);
  const adminPort = parseNumber('--admin-port', flags.adminPort);
  if (folder.current() === undefined) await enrolCommand(flags, stop);
  const identity = folder.current();
  if (identity === undefined)
    throw new Failure('request_malformed', 'this node has no certificate: enrol it');
  expectNode(identity.parsed, flags.id);
  // what enrolment has trusted, unless told otherwise: it must be known while Chancery is away
  const ca = flags.caFile === undefined ? identity.authorities : readAuthorities(flags.caFile);
  const url = parseAdminUrl(flags.url);
  const over = new AbortController();
  void keepRenewed(flags, path, AbortSignal.any([stop, over.signal]));
  const prefixed =
    (write: (line: string) => void) =>
    (line: string): void =>
      write(`node ${flags.id}: ${line}`);
  try {
    await runNode(
      {
        contact: createContact({ url, ca, node: flags.id, folder }),
        kept: openKeptConfiguration({ path, node: flags.id, folder, nowMs: () => Date.now() }),
        identity: () => folder.current(),
        envoy: {
          binary,
          folder: join(path, 'envoy'),
          concurrency,
          adminPort,
          onLine: (line) => complain(`envoy: ${line}`),
        },
        say: prefixed(say),
        complain: prefixed(complain),
        random: systemRandom,
        nowMs: () => Date.now(),
        lookMs: LOOK_MS,
      },
      stop,
    );
  } finally {
    over.abort();
  }
  return 0;
}

export interface ProbeFlags {
  readonly address: string;
  readonly port: string;
  readonly tls?: boolean;
  readonly out?: string;
}

/** Prints `<epoch>.<seq>`. @throws Failure  when the listener does not say it */
export async function probeCommand({ address, port, tls = false, out }: ProbeFlags): Promise<number> {
  const listener = { address, port: Number(port), tls };
  const identity = out === undefined ? undefined : openNodeFolder(out).current();
  say(await probePosition({ listener, identity }));
  return 0;
}

/** What was not renewed in time is refused by Chancery, and said then; what runs goes on. */
async function keepRenewed(flags: RunFlags, path: string, stop: AbortSignal): Promise<void> {
  const kept = join(path, 'current', 'authorities.pem');
  const { caFingerprint: _pin, ...rest } = flags;
  const caFile = flags.caFile ?? (existsSync(kept) ? kept : undefined);
  try {
    await enrolCommand({ ...rest, ...(caFile !== undefined && { caFile }), watch: true }, stop);
  } catch (error) {
    complain(`node ${flags.id}: the certificate is not renewed any more: ${Failure.from(error).detail}`);
  }
}

/** What Chancery would say too; it may be away. */
function expectNode({ subjectAltName = '' }: X509Certificate, id: string): void {
  if (/^URI:spiffe:\/\/[^/,]+\/node\/([^/,]+)$/.exec(subjectAltName)?.[1] === id) return;
  throw new Failure('peer_mismatch', `the certificate in --out is not that of node "${id}"`);
}

function parseNumber(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,5}$/.test(text)) return Number(text);
  throw new UsageError(`${flag} is a number`);
}
