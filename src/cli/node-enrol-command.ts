/** `chancery node enrol`: on a node, gets and renews its certificate. The key is made there and never leaves it. */
import { readFileSync } from 'node:fs';
import { ApiError } from '../client/api-error.ts';
import { type AdminClient, createClient } from '../client/client.ts';
import { type ClientTls, createTlsFetch, fetchPinned } from '../client/tls-fetch.ts';
import { Failure } from '../core/failure.ts';
import { createCertificateRequest, createNodeKey } from '../identity/certificate-request.ts';
import { pause } from '../journal/deadline.ts';
import { jittered, systemRandom } from '../journal/random.ts';
import { type NodeFolder, openNodeFolder } from '../node/node-folder.ts';
import { parseAdminUrl } from './admin-url.ts';
import { complain, say } from './output.ts';
import { UsageError } from './usage-error.ts';

export interface EnrolFlags {
  readonly url: string;
  readonly caFile?: string;
  readonly caFingerprint?: string;
  readonly tokenFile?: string;
  readonly out: string;
  readonly renew?: boolean;
  readonly watch?: boolean;
}

interface Session {
  readonly flags: EnrolFlags;
  readonly url: URL;
  /** PEM; undefined: whom this machine trusts */
  readonly ca: string | undefined;
  readonly folder: NodeFolder;
  readonly lookMs: number;
}

const FINGERPRINT = /^sha256:([0-9a-f]{64})$/;
const RETRY_MS = 1_000;
const MAX_RETRY_MS = 300_000;
/** Between two looks at the clock, and at least between two renewals, whatever the clock says. */
const LOOK_MS = 60_000;

/**
 * @param stop  ends `--watch`
 * @param lookMs  how often `--watch` looks at the clock
 * @returns the exit code
 * @throws UsageError  the flags
 * @throws Failure request_malformed  a file that cannot be read; credential_expired when it is too late to renew
 * @throws ApiError  what the admin API refused
 */
export async function enrolCommand(flags: EnrolFlags, stop: AbortSignal, lookMs = LOOK_MS): Promise<number> {
  const session = await openSession(flags, lookMs);
  const { folder } = session;
  if (flags.renew) await renew(session);
  else if (!flags.watch || !isUsable(folder)) await enrol(session);
  if (flags.watch) await keepRenewing(session, stop);
  return 0;
}

async function openSession(flags: EnrolFlags, lookMs: number): Promise<Session> {
  const url = parseAdminUrl(flags.url);
  if (flags.caFile !== undefined && flags.caFingerprint !== undefined) {
    throw new UsageError('give one of --ca-file and --ca-fingerprint');
  }
  return { flags, url, ca: await authorities(url, flags), folder: openNodeFolder(flags.out), lookMs };
}

async function authorities(url: URL, { caFile, caFingerprint }: EnrolFlags): Promise<string | undefined> {
  if (caFile !== undefined) return readAuthorities(caFile);
  if (caFingerprint === undefined) return undefined;
  const [, sha256] = FINGERPRINT.exec(caFingerprint) ?? [];
  if (sha256 === undefined) {
    throw new UsageError('--ca-fingerprint is sha256: and 64 lower-case hexadecimal digits');
  }
  if (url.protocol !== 'https:') throw new UsageError('--ca-fingerprint needs https');
  return fetchPinned(url, sha256);
}

/** @returns PEM. @throws Failure request_malformed */
export function readAuthorities(caFile: string): string {
  return read(caFile, '--ca-file');
}

async function enrol({ flags, folder, ...session }: Omit<Session, 'lookMs'>): Promise<void> {
  if (flags.tokenFile === undefined) throw new UsageError('to enrol, --token-file is needed');
  const token = read(flags.tokenFile, '--token-file').trim();
  const privateKey = folder.enrolmentKey();
  const csr = await createCertificateRequest(privateKey);
  const { data } = await client(session, token).POST('/v1/enrolments', { body: { csr } });
  if (data !== undefined) install({ folder, ...session }, privateKey, data);
}

/** The key is new each time: an old one that was copied is worth nothing any more. */
async function renew({ folder, ...session }: Omit<Session, 'flags' | 'lookMs'>): Promise<void> {
  const shown = folder.current();
  if (shown === undefined)
    throw new Failure('request_malformed', 'there is no certificate to renew in --out');
  if (shown.parsed.validToDate.getTime() <= Date.now()) {
    throw new Failure(
      'credential_expired',
      `the certificate has expired at ${shown.parsed.validTo}; enrol anew`,
    );
  }
  if (session.url.protocol !== 'https:') {
    throw new UsageError('to renew, --url must be https: the connection shows the certificate');
  }
  const privateKey = createNodeKey();
  const csr = await createCertificateRequest(privateKey);
  const { certificate, privateKey: shownKey } = shown;
  const renewing = client(session, undefined, { certificate, privateKey: shownKey });
  const { data } = await renewing.POST('/v1/enrolments/renew', { body: { csr } });
  if (data !== undefined) install({ folder, ...session }, privateKey, data);
}

function install(
  { folder, ca }: Pick<Session, 'folder' | 'ca'>,
  privateKey: string,
  issued: {
    readonly node: string;
    certificate: string;
    authorities: string;
    configurationKey: string;
    notAfter: string;
    renewAfter: string;
  },
): void {
  const { node, certificate, configurationKey, notAfter, renewAfter } = issued;
  const nodeAuthorities = issued.authorities;
  folder.install({ certificate, privateKey, nodeAuthorities, authorities: ca, configurationKey });
  say(`node ${node}: certificate until ${notAfter}, to be renewed after ${renewAfter}`);
}

/** Until `stop`: renews at two thirds of the life, and again and again until the certificate has expired. */
async function keepRenewing(session: Session, stop: AbortSignal): Promise<void> {
  let failed = 0;
  while (!stop.aborted) {
    if (failed === 0) await untilDue(session, stop);
    else await pause(jittered(Math.min(RETRY_MS * 2 ** failed, MAX_RETRY_MS), systemRandom), stop);
    if (stop.aborted) return;
    try {
      await renew(session);
      failed = 0;
      // to a clock that is far ahead the new one is due as well
      await pause(session.lookMs, stop);
    } catch (error) {
      if (!mayPass(error)) throw error;
      failed += 1;
      complain(`chancery: the certificate is not renewed yet: ${error.detail} (${error.code})`);
    }
  }
}

/** What another attempt may mend: the certificate, and whoever issues, are still as they should be. */
function mayPass(error: unknown): error is ApiError {
  return error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 500);
}

/** By looking, and not by one long wait: a clock may be set, and while a machine sleeps no timer runs. */
async function untilDue({ folder, lookMs }: Session, stop: AbortSignal): Promise<void> {
  const dueMs = renewalDueMs(folder);
  while (!stop.aborted && Date.now() < dueMs) await pause(Math.min(lookMs, dueMs - Date.now()), stop);
}

/** Two thirds of the life, and up to a twentieth more, so that nodes that were enrolled together do not come together. */
function renewalDueMs(folder: NodeFolder): number {
  const { validFromDate, validToDate } = folder.current()?.parsed ?? {};
  if (validFromDate === undefined || validToDate === undefined) return 0;
  const lifeMs = validToDate.getTime() - validFromDate.getTime();
  const spreadMs = jittered(lifeMs / 20, systemRandom) - lifeMs / 40;
  return validFromDate.getTime() + (lifeMs * 2) / 3 + spreadMs;
}

function isUsable(folder: NodeFolder): boolean {
  const current = folder.current();
  return current !== undefined && current.parsed.validToDate.getTime() > Date.now();
}

function client(
  { url, ca }: Pick<Session, 'url' | 'ca'>,
  token: string | undefined,
  identity: Pick<ClientTls, 'certificate' | 'privateKey'> = {},
): AdminClient {
  const isTls = url.protocol === 'https:';
  const tls = { ...identity, ...(ca !== undefined && { ca }) };
  return createClient({
    baseUrl: url.origin,
    ...(token !== undefined && { token }),
    ...(isTls && { fetch: createTlsFetch(tls) }),
  });
}

function read(path: string, flag: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new Failure('request_malformed', `the file of ${flag} cannot be read`, { cause });
  }
}
