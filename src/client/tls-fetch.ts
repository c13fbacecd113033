/**
 * `fetch` with a client certificate and an authority of one's own, which the global one cannot have. One request per
 * connection, no redirects.
 */
import type { IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import { connect, type PeerCertificate, type TLSSocket } from 'node:tls';
import { ApiError } from './api-error.ts';

export interface ClientTls {
  /** PEM: whom to trust; left out: whom this machine trusts */
  readonly ca?: string;
  /** PEM: shown to the server */
  readonly certificate?: string;
  readonly privateKey?: string;
  /** the largest answer that is read; default 1 MiB */
  readonly maxAnswerBytes?: number;
}

const MAX_ANSWER_BYTES = 1024 * 1024;
const CONNECT_MS = 10_000;

export function createTlsFetch({
  ca,
  certificate,
  privateKey,
  maxAnswerBytes = MAX_ANSWER_BYTES,
}: ClientTls): (request: Request) => Promise<Response> {
  return async (request) => {
    const body = Buffer.from(await request.arrayBuffer());
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    const sent = requestHttps(
      request.url,
      {
        method: request.method,
        headers: { ...Object.fromEntries(request.headers), 'content-length': String(body.length) },
        agent: false,
        signal: request.signal,
        minVersion: 'TLSv1.2',
        // What was pinned may stand in the middle of a chain.
        ...(ca !== undefined && { ca, allowPartialTrustChain: true }),
        ...(certificate !== undefined && { cert: certificate }),
        ...(privateKey !== undefined && { key: privateKey }),
      },
      (answer) => {
        toResponse(answer, maxAnswerBytes).then(resolve, reject);
      },
    );
    sent.on('error', reject);
    sent.end(body);
    return promise;
  };
}

async function toResponse(answer: IncomingMessage, maxAnswerBytes: number): Promise<Response> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of answer) {
    if (!Buffer.isBuffer(part)) continue;
    bytes += part.length;
    if (bytes > maxAnswerBytes) throw new Error('the answer is too large');
    parts.push(part);
  }
  const headers = new Headers();
  for (const [name, value] of Object.entries(answer.headers)) {
    if (value !== undefined) headers.set(name, String(value));
  }
  const status = answer.statusCode ?? 500;
  return new Response(bytes === 0 ? null : Buffer.concat(parts), { status, headers });
}

/**
 * Looks which certificate of the chain that a server shows has this SHA-256 (64 hexadecimal digits). Nothing is sent
 * and nothing is believed yet: the certificate is to be the `ca` of the connection that counts.
 *
 * @returns PEM
 * @throws ApiError  `unreachable`; `untrusted` when the server shows no such certificate
 */
export async function fetchPinned(url: URL, sha256: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const socket = connect({
    host,
    port: Number(url.port || 443),
    rejectUnauthorized: false,
    timeout: CONNECT_MS,
  });
  socket.once('secureConnect', () => resolve(socket));
  socket.once('timeout', () => reject(new Error('the server did not answer in time')));
  socket.once('error', reject);
  try {
    const shown = chainOf((await promise).getPeerCertificate(true));
    const pinned = shown.find((one) => one.fingerprint256.replaceAll(':', '').toLowerCase() === sha256);
    if (pinned !== undefined) return toPem(pinned.raw);
  } catch (cause) {
    const detail = 'the admin API cannot be reached';
    throw new ApiError({ status: 0, code: 'unreachable', detail }, { cause });
  } finally {
    socket.destroy();
  }
  const detail =
    'the server shows no certificate of this fingerprint; it may not send its root, then give --ca-file';
  throw new ApiError({ status: 0, code: 'untrusted', detail });
}

/** From the leaf on; a root names itself as its issuer. */
function chainOf(
  leaf: PeerCertificate & { readonly issuerCertificate?: PeerCertificate },
): readonly PeerCertificate[] {
  const chain: PeerCertificate[] = [];
  let next: (PeerCertificate & { readonly issuerCertificate?: PeerCertificate }) | undefined = leaf;
  while (next !== undefined && !chain.includes(next)) {
    chain.push(next);
    next = next.issuerCertificate;
  }
  return chain;
}

function toPem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}
