/** A token issuer for tests: its keys on a local HTTP server, and tokens good and bad in all the ways that matter. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { base64url, exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from 'jose';

export interface TokenOptions {
  readonly subject?: string;
  readonly issuer?: string;
  readonly audience?: string;
  /** seconds from now; negative = expired */
  readonly expiresInSeconds?: number;
  /** in place of now, milliseconds since the epoch */
  readonly nowMs?: number;
  readonly claims?: JWTPayload;
}

export interface TestIssuer {
  readonly issuer: string;
  readonly jwksUri: string;
  readonly audience: string;
  /** RS256 by the issuer's key */
  sign(options?: TokenOptions): Promise<string>;
  expired(): Promise<string>;
  /** RS256 by a key that is not the issuer's, under the issuer's key id */
  wrongKey(): Promise<string>;
  /** `alg: none`, no signature (RFC 7519, section 6) */
  algNone(): string;
  /** HS256 with the PEM of the RSA public key as the secret */
  hs256WithPublicKey(): Promise<string>;
  /** how often the keys were read */
  readonly reads: () => number;
  /** from now on answers with this status; 200 = as usual */
  answerWith(status: number): void;
  close(): Promise<void>;
}

const KEY_ID = 'test-key';
const LIFETIME_SECONDS = 3600;

export async function createTestIssuer(audience = 'orders'): Promise<TestIssuer> {
  const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true });
  const stranger = await generateKeyPair('RS256');
  const jwks = JSON.stringify({
    keys: [{ ...(await exportJWK(publicKey)), kid: KEY_ID, alg: 'RS256', use: 'sig' }],
  });
  let reads = 0;
  let status = 200;
  const server = createServer((_request, response) => {
    reads += 1;
    response.writeHead(status, { 'content-type': 'application/json' }).end(status === 200 ? jwks : '');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const payloadOf = (options: TokenOptions): JWTPayload => {
    const now = Math.floor((options.nowMs ?? Date.now()) / 1000);
    return {
      iss: options.issuer ?? issuer,
      sub: options.subject ?? 'alice',
      aud: options.audience ?? audience,
      iat: now,
      exp: now + (options.expiresInSeconds ?? LIFETIME_SECONDS),
      ...options.claims,
    };
  };
  const signWith = (key: CryptoKey, options: TokenOptions): Promise<string> =>
    new SignJWT(payloadOf(options)).setProtectedHeader({ alg: 'RS256', kid: KEY_ID }).sign(key);

  return {
    issuer,
    jwksUri: `${issuer}/jwks.json`,
    audience,
    sign: (options = {}) => signWith(privateKey, options),
    expired: () => signWith(privateKey, { expiresInSeconds: -LIFETIME_SECONDS }),
    wrongKey: () => signWith(stranger.privateKey, {}),
    algNone: () => `${toPart({ alg: 'none', typ: 'JWT' })}.${toPart(payloadOf({}))}.`,
    async hs256WithPublicKey() {
      const secret = new TextEncoder().encode(await exportSPKI(publicKey));
      return new SignJWT(payloadOf({})).setProtectedHeader({ alg: 'HS256', kid: KEY_ID }).sign(secret);
    },
    reads: () => reads,
    answerWith(next) {
      status = next;
    },
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function toPart(value: object): string {
  return base64url.encode(JSON.stringify(value));
}
