/** Credentials that are good for one endpoint each, and are no API tokens. */
import { TLSSocket } from 'node:tls';

/** What a call brings before its body is read. */
export interface Arrival {
  /** value of the header field */
  readonly authorization: string | undefined;
  readonly remoteAddress: string;
  /**
   * The client certificate of the connection, DER; undefined when there is none that an authority of the nodes has
   * signed. It is asked for on each connection and opens nothing by itself.
   */
  readonly certificate: () => Uint8Array | undefined;
}

export interface Caller {
  /** calls are counted by it */
  readonly id: string;
}

export interface OwnCredential<C extends Caller> {
  /** its name among the security schemes of the document */
  readonly scheme: 'enrolmentToken' | 'nodeCertificate';
  /** @throws Failure credential_missing, _invalid, _expired, _revoked */
  readonly authenticate: (arrival: Arrival) => C;
}

/** @returns undefined  on a plain connection, too */
export function verifiedCertificate(socket: object): Uint8Array | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  return socket.getPeerCertificate().raw;
}
