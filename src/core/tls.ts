import type { SecureContextOptions } from 'node:tls';
import { Type } from 'typebox';

/** The key and certificates of one listener, which may change while it listens. */
export interface TlsCredentials {
  /** a client must show a certificate of the authorities in `context()` */
  readonly verifiesClients: boolean;
  /**
   * Why a client whose certificate the authorities verify is refused all the same, for example a revoked one; undefined:
   * it is not. Asked for each new connection, and for the open ones when `onDoubt` says so.
   */
  refusalOf?(certificate: Uint8Array): string | undefined;
  /** Calls the listener when `refusalOf` may answer otherwise than before. */
  onDoubt?(listener: () => void): void;
  /** what new connections get now */
  context(): SecureContextOptions;
  /** Calls the listener with each later context. */
  onChange(listener: (context: SecureContextOptions) => void): void;
  /** No changes from here on; whoever listens with them closes them. */
  close(): void;
}

/** Of a listener's `tls` option. */
export const serverCertificateOptions = {
  certificateFile: Type.String({
    minLength: 1,
    description: 'PEM: the certificate, then those between it and the authority; read again when it changes',
  }),
  privateKeyFile: Type.String({
    minLength: 1,
    description: 'PEM; not readable by everybody; read again when it changes',
  }),
};
