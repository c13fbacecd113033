/** Arguments that are keys, tokens and certificates: made for the run. */
import { createHmac, generateKeyPairSync, randomBytes } from 'node:crypto';
import { createAuthority } from './certificates.ts';
import type { NativeToolchain } from './native-toolchain.ts';
import { type Generator, joined, membersOf, mostly, oneOf, STRING, strings, terms } from './rego-values.ts';

const SECRET = 'a secret of thirty-two bytes or more';
const PAYLOADS = [
  { iss: 'issuer', aud: 'orders', sub: 'ann', exp: 1_800_000_000 },
  { iss: 'issuer', aud: ['orders', 'ledger'], nbf: 1_600_000_000, roles: ['editor'] },
  { iss: 'other', exp: 1_600_000_000.5 },
  { nbf: 1_800_000_000, name: 'Zoë 😀' },
];
const ALGORITHMS = [
  'HS256',
  'HS384',
  'HS512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
];

interface Signed {
  readonly token: string;
  /** as a verifying function takes it */
  readonly keys: readonly string[];
}

/** Per algorithm tokens, and the keys that verify them. */
async function sign(native: NativeToolchain, algorithm: string): Promise<readonly Signed[]> {
  const { privateKey, publicKeys } = keysFor(algorithm);
  return Promise.all(
    PAYLOADS.map(async (payload) => {
      const args = [{ alg: algorithm, typ: 'JWT' }, payload, privateKey].map((each) => JSON.stringify(each));
      const result = await native.ask<{ text?: string }>({
        do: 'builtin',
        name: 'io.jwt.encode_sign',
        args,
        nowNs: '0',
      });
      if (result.text === undefined)
        throw new Error(`OPA does not sign ${algorithm}: ${JSON.stringify(result)}`);
      return { token: JSON.parse(result.text) as string, keys: publicKeys };
    }),
  );
}

function keysFor(algorithm: string): { readonly privateKey: object; readonly publicKeys: readonly string[] } {
  if (algorithm.startsWith('HS')) {
    return { privateKey: { kty: 'oct', k: Buffer.from(SECRET).toString('base64url') }, publicKeys: [SECRET] };
  }
  const curves: Record<string, string> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };
  const namedCurve = curves[algorithm];
  const pair =
    algorithm === 'EdDSA'
      ? generateKeyPairSync('ed25519')
      : namedCurve === undefined
        ? generateKeyPairSync('rsa', { modulusLength: 2_048 })
        : generateKeyPairSync('ec', { namedCurve });
  const jwk = pair.publicKey.export({ format: 'jwk' });
  const pem = pair.publicKey.export({ format: 'pem', type: 'spki' }) as string;
  const set = { keys: [{ ...jwk, kid: 'one', alg: algorithm, use: 'sig' }] };
  return {
    privateKey: pair.privateKey.export({ format: 'jwk' }),
    publicKeys: [pem, JSON.stringify(jwk), JSON.stringify(set)],
  };
}

export async function signedArguments(
  native: NativeToolchain,
): Promise<Readonly<Record<string, readonly Generator[]>>> {
  const all = await Promise.all(ALGORITHMS.map((algorithm) => sign(native, algorithm)));
  const tokens = all.flat().map(({ token }) => token);
  const unsigned = (header: object, payload: string): string =>
    `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${Buffer.from(payload).toString('base64url')}.`;
  const broken = strings(
    'a.b.c',
    '',
    'a',
    'a.b',
    '..',
    `${tokens[0]}x`,
    (tokens[0] ?? '').replace('.', '..'),
    unsigned({ alg: 'none' }, '{}'),
    unsigned({ alg: 'HS256', crit: ['x'] }, '{"a":1}'),
    unsigned({ alg: 'HS256' }, '[1]'),
    unsigned({ alg: 'HS256', cty: 'JWT' }, '{"n":1.50}'),
  );
  const token = mostly(strings(...tokens), broken, 8);
  const result: Record<string, readonly Generator[]> = { 'io.jwt.decode': [token] };
  ALGORITHMS.forEach((algorithm, at) => {
    const signed = all[at] ?? [];
    const good = strings(...signed.map((each) => each.token));
    const keys = strings(...(signed[0]?.keys ?? []));
    result[`io.jwt.verify_${algorithm.toLowerCase()}`] = [
      mostly(good, token, 5),
      mostly(keys, oneOf(STRING, strings('{"keys":[]}')), 6),
    ];
  });
  result['io.jwt.decode_verify'] = [token, constraintsOf(all.flat())];
  return { ...result, ...(await certificateArguments()), ...macArguments(), ...awsArguments() };
}

function constraintsOf(signed: readonly Signed[]): Generator {
  const keys = strings(...new Set(signed.flatMap((each) => each.keys).filter((key) => key !== SECRET)));
  const time = terms('1700000000000000000', '1900000000000000000', '1');
  return oneOf(
    membersOf({ secret: strings(SECRET), time }),
    membersOf({ cert: keys, time }),
    membersOf({ cert: keys, iss: strings('issuer', 'other') }),
    membersOf({ secret: strings(SECRET, 'x'), aud: strings('orders', 'x'), alg: strings('HS256', 'HS512') }),
    membersOf({ secret: strings(SECRET), nope: terms('1') }),
    terms('{}'),
  );
}

function macArguments(): Record<string, readonly Generator[]> {
  const mac = createHmac('sha256', SECRET).update('x').digest('hex');
  const text = strings(mac, mac.toUpperCase(), '', 'x', randomBytes(4).toString('hex'));
  return { 'crypto.hmac.equal': [text, text] };
}

async function certificateArguments(): Promise<Record<string, readonly Generator[]>> {
  const authority = await createAuthority();
  const leaf = await authority.issue({
    uris: ['spiffe://a/b'],
    dnsNames: ['a.example'],
    ipAddresses: ['10.0.0.1'],
  });
  const other = await (await createAuthority('Other')).issue({
    notAfter: new Date('2020-01-01'),
    notBefore: new Date('2019-01-01'),
  });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const pems = [
    rsa.export({ format: 'pem', type: 'pkcs1' }),
    rsa.export({ format: 'pem', type: 'pkcs8' }),
    ec.export({ format: 'pem', type: 'sec1' }),
  ].map(String);
  const encoded = (text: string): string => Buffer.from(text).toString('base64');
  const certificates = [leaf.certificate, authority.certificate, other.certificate];
  const chain = `${authority.certificate}${leaf.certificate}`;
  const bad = strings('', 'x', 'YQ==', '-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n');
  const keys = mostly(strings(...pems, ...pems.map(encoded), leaf.privateKey), bad, 6);
  const listed = mostly(
    strings(...certificates, ...certificates.map(encoded), chain, encoded(chain)),
    bad,
    6,
  );
  const chains = mostly(
    strings(chain, encoded(chain), `${authority.certificate}${other.certificate}`, leaf.certificate),
    bad,
    6,
  );
  return {
    'crypto.parse_private_keys': [keys],
    'crypto.x509.parse_rsa_private_key': [
      mostly(strings(...pems.slice(0, 2), ...pems.slice(0, 2).map(encoded)), keys, 4),
    ],
    'crypto.x509.parse_certificates': [listed],
    'crypto.x509.parse_certificate_request': [bad],
    'crypto.x509.parse_keypair': [
      strings(leaf.certificate, encoded(leaf.certificate)),
      strings(leaf.privateKey, encoded(leaf.privateKey)),
    ],
    'crypto.x509.parse_and_verify_certificates': [chains],
    'crypto.x509.parse_and_verify_certificates_with_options': [
      chains,
      oneOf(
        membersOf({ CurrentTime: terms(String(Date.now() * 1_000_000), '1') }),
        membersOf({ DNSName: strings('a.example', 'b') }),
        membersOf({ KeyUsages: terms('["KeyUsageAny"]', '["nope"]') }),
      ),
    ],
  };
}

function awsArguments(): Record<string, readonly Generator[]> {
  const request = membersOf({
    method: strings('get', 'PUT'),
    url: joined(strings('https://b.s3.amazonaws.com/'), strings('k', 'a b', 'k?x=1')),
    body: terms('{"a": 1}', 'null'),
  });
  const config = membersOf({
    aws_access_key: strings('AK'),
    aws_secret_access_key: strings('SK'),
    aws_region: strings('eu-west-1'),
    aws_service: strings('s3', 'execute-api'),
  });
  return { 'providers.aws.sign_req': [request, config, terms('1700000000000000000', '0', '-1')] };
}
