/**
 * A port with TLS in front of a gRPC server. The handshake is done here and not by grpc-js, whose own listener neither
 * says why a client was refused nor keeps the last good certificate when a new one is bad.
 */
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { type Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js';
import type { TlsCredentials } from '../core/tls.ts';
import type { LogFields, Logger } from '../telemetry/logger.ts';
import { createPeerLineLimit } from '../telemetry/peer-line-limit.ts';
import { Connections, type Listener } from './listener.ts';
import type { DoorMeasures } from './measures.ts';

const HANDSHAKE_MS = 5_000;
const MAX_TIMER_MS = 2_147_483_647;
const MAX_LOGGED_NAMES = 256;
/** a second */
const LOG_LINES = { perPeer: 10, total: 100 };
const NO_CERTIFICATE = 'no certificate';
const EXPIRED = 'the certificate has expired';
/** for the metric, whose labels are a closed list; the log has the code */
const OTHER_REASON = 'another reason';

/** What OpenSSL's codes mean to whoever looks for the client; other codes stand for themselves. */
const REASONS: Readonly<Record<string, string>> = {
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the certificate is from another authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the certificate is from another authority',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is from another authority',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate is from another authority',
  CERT_SIGNATURE_FAILURE: 'the certificate is from another authority of the same name',
  CERT_HAS_EXPIRED: EXPIRED,
  CERT_NOT_YET_VALID: 'the certificate is not valid yet',
  INVALID_PURPOSE: 'the certificate is not for clients',
};

export function createTlsListener(
  server: GrpcServer,
  credentials: TlsCredentials,
  logger: Logger,
  door?: DoorMeasures,
): Listener {
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  let isOpen = true;
  const { verifiesClients } = credentials;
  const port = createServer({
    ...credentials.context(),
    ALPNProtocols: ['h2'],
    handshakeTimeout: HANDSHAKE_MS,
    requestCert: verifiesClients,
    // Node would cut the connection without saying whose it was: `accept` does it instead
    rejectUnauthorized: false,
  });
  credentials.onChange((context) => port.setSecureContext(context));
  /** those that have reached the gRPC server */
  const connections = new Connections<TLSSocket>();

  const lines = createPeerLineLimit(LOG_LINES);
  const warn = (socket: Socket, fields: LogFields, message: string): void => {
    const suppressed = lines.take(socket.remoteAddress ?? 'unknown', performance.now());
    if (suppressed === undefined) return;
    logger.warn({ peer: addressOf(socket), ...fields, ...(suppressed > 0 && { suppressed }) }, message);
  };
  const refuse = (socket: Socket, code = 'unknown', fields: LogFields = {}): void => {
    door?.refused(REASONS[code] ?? (code === NO_CERTIFICATE ? code : OTHER_REASON));
    warn(
      socket,
      { ...fields, code, reason: REASONS[code] ?? code },
      'a client was refused in its TLS handshake',
    );
  };
  const accept = (socket: TLSSocket): void => {
    socket.on('error', () => {});
    if (!isOpen) {
      socket.destroy();
      return;
    }
    if (verifiesClients && !socket.authorized) {
      const { raw, subjectaltname } = socket.getPeerCertificate();
      const names = subjectaltname?.slice(0, MAX_LOGGED_NAMES);
      // typed as an Error, but it is the code alone
      refuse(socket, raw === undefined ? NO_CERTIFICATE : String(socket.authorizationError), { names });
      socket.destroy();
      return;
    }
    rememberCertificate(socket);
    if (cutIfRefused(socket)) return;
    connections.add(socket);
    door?.opened();
    socket.once('close', () => door?.closed());
    injector.injectConnection(socket);
    cutWhenExpired(socket);
  };
  const cut = (socket: TLSSocket, reason: string): void => {
    const names = socket.getPeerCertificate().subjectaltname?.slice(0, MAX_LOGGED_NAMES);
    warn(socket, { names, reason }, 'a connection was cut');
    socket.destroy();
  };
  /** @returns whether it was */
  const cutIfRefused = (socket: TLSSocket): boolean => {
    const { raw } = socket.getPeerCertificate();
    const reason = raw && credentials.refusalOf?.(raw);
    if (reason !== undefined) cut(socket, reason);
    return reason !== undefined;
  };
  /** A stream would go on for as long as the connection does. */
  const cutWhenExpired = (socket: TLSSocket): void => {
    const { valid_to } = socket.getPeerCertificate();
    if (!verifiesClients || valid_to === undefined) return;
    const look = (): void => {
      const leftMs = Date.parse(valid_to) - Date.now();
      if (leftMs > 0) timer = setTimeout(look, Math.min(leftMs, MAX_TIMER_MS)).unref();
      else cut(socket, EXPIRED);
    };
    let timer: NodeJS.Timeout | undefined;
    look();
    socket.once('close', () => clearTimeout(timer));
  };
  credentials.onDoubt?.(() => {
    for (const socket of connections) cutIfRefused(socket);
  });

  port.on('secureConnection', accept);
  port.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    refuse(socket, error.code);
  });

  return {
    listen: (address, wanted) =>
      new Promise((resolve, reject) => {
        port.once('error', reject);
        port.listen(wanted, address, () => {
          port.off('error', reject);
          // say, no file descriptors for the next connection: that one is lost, the port is not
          port.on('error', (error) => logger.error({ err: error }, 'a gRPC port cannot take a connection'));
          resolve((port.address() as AddressInfo).port);
        });
      }),
    close() {
      isOpen = false;
      credentials.close();
      port.close();
    },
    connections,
  };
}

/** grpc-js asks for it on every call, and each time Node would parse it again. */
function rememberCertificate(socket: TLSSocket): void {
  const certificate = socket.getPeerCertificate(true);
  socket.getPeerCertificate = () => certificate;
}

function addressOf({ remoteAddress, remotePort }: Socket): string {
  return remoteAddress === undefined ? 'unknown' : `${remoteAddress}:${remotePort}`;
}
