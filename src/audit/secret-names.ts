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
  return {
    has: (name) => names.has(plainName(name)),
    hasInQuery: (name) => inQueries.has(plainName(name)),
  };
}

export function plainName(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, '');
}
