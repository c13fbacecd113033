/** Names of what is secret, wherever it stands. Compared in lower case and without `-` and `_`. */

const SECRETS = [
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'x-api-key',
  'x-auth-token',
  'x-access-token',
  'x-csrf-token',
  'x-xsrf-token',
  'x-amz-security-token',
  'access_token',
  'refresh_token',
  'id_token',
  'token',
  'session_token',
  'jwt',
  'bearer',
  'assertion',
  'client_assertion',
  'client_secret',
  'secret',
  'password',
  'passwd',
  'pwd',
  'passphrase',
  'api_key',
  'apikey',
  'private_key',
  'credentials',
  'otp',
  'saml_response',
];
/** In a query only: elsewhere these words mean something harmless. */
const IN_QUERIES = [
  'code',
  'sig',
  'signature',
  'x-amz-signature',
  'x-amz-credential',
  'x-goog-signature',
  'key',
];

export interface SecretNames {
  has(name: string): boolean;
  hasInQuery(name: string): boolean;
}

export function createSecretNames(more: readonly string[] = []): SecretNames {
  const names = new Set([...SECRETS, ...more].map(plainName));
  const inQueries = names.union(new Set(IN_QUERIES.map(plainName)));
  return { has: remembered(names), hasInQuery: remembered(inQueries) };
}

const MAX_REMEMBERED = 4_096;
const MAX_NAME = 64;

/** The same few names come again and again; a client can make it forget, and no more. */
function remembered(names: ReadonlySet<string>): (name: string) => boolean {
  const known = new Map<string, boolean>();
  return (name) => {
    const before = known.get(name);
    if (before !== undefined) return before;
    const isSecret = names.has(plainName(name));
    if (known.size >= MAX_REMEMBERED) known.clear();
    if (name.length <= MAX_NAME) known.set(name, isSecret);
    return isSecret;
  };
}

export function plainName(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, '');
}
