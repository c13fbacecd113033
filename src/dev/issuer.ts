/** The development-only token issuer: keys made at start and thrown away at the end, JWKS over loopback HTTP. */
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { closeServer, listenOn, type Where } from './listen.ts';

const ALGORITHM = 'ES256';

export interface DevIssuer {
  readonly issuer: string;
  readonly jwksUri: string;
  readonly audience: string;
  readonly algorithms: readonly string[];
  /** Signs a token that lives for one day. */
  issue(subject: string, claims: Readonly<Record<string, unknown>>): Promise<string>;
  close(): Promise<void>;
}

export async function startDevIssuer(where: Where): Promise<DevIssuer> {
  const { publicKey, privateKey } = await generateKeyPair(ALGORITHM);
  const kid = crypto.randomUUID();
  const jwks = JSON.stringify({
    keys: [{ ...(await exportJWK(publicKey)), kid, alg: ALGORITHM, use: 'sig' }],
  });
  const server = createServer((request, response) => {
    const known = request.method === 'GET' && request.url === '/jwks.json';
    response.writeHead(known ? 200 : 404, { 'content-type': 'application/json' });
    response.end(known ? jwks : '{}');
  });
  const base = await listenOn(server, where, 'the development issuer');
  const audience = 'chancery-dev';
  return {
    issuer: base,
    jwksUri: `${base}/jwks.json`,
    audience,
    algorithms: [ALGORITHM],
    issue: (subject, claims) =>
      new SignJWT({ ...claims })
        .setProtectedHeader({ alg: ALGORITHM, kid })
        .setIssuer(base)
        .setAudience(audience)
        .setSubject(subject)
        .setIssuedAt()
        .setExpirationTime('1 day')
        .sign(privateKey),
    close: () => closeServer(server),
  };
}
