/** `io.jwt.*` against OPA: every algorithm with every kind of key, good, bad and odd tokens, and all constraints. */
import { constants, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { createToolchain } from '../../src/rego/toolchain.ts';
import { aCall, type Call, compareWithOpa, expectMostDefined } from '../support/builtin-oracle.ts';
import { createAuthority } from '../support/certificates.ts';

const toolchain = createToolchain({ callTimeoutMs: 60_000, maxQueued: 16, maxMemoryMiB: 512 });
afterAll(() => toolchain.close());

const SECRET = 'a secret of some length';
const KEYS = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  small: generateKeyPairSync('rsa', { modulusLength: 768 }),
  p256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  p384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  p521: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  k256: generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
  ed: generateKeyPairSync('ed25519'),
  x: generateKeyPairSync('x25519'),
} as const;
type KeyName = keyof typeof KEYS;

const encode = (text: string): string => Buffer.from(text).toString('base64url');
const pem = (name: KeyName): string =>
  KEYS[name].publicKey.export({ type: 'spki', format: 'pem' }).toString();
const jwk = (name: KeyName, more: object = {}): object => ({
  ...KEYS[name].publicKey.export({ format: 'jwk' }),
  ...more,
});
const oct = (more: object = {}): object => ({ kty: 'oct', k: encode(SECRET), ...more });

function signatureOf(alg: string, text: string, key: KeyObject | string): Buffer {
  const hash = `sha${alg.slice(2)}`;
  const data = Buffer.from(text);
  if (typeof key === 'string') return createHmac(hash, key).update(data).digest();
  switch (alg.slice(0, 2)) {
    case 'RS':
      return sign(hash, data, key);
    case 'PS':
      return sign(hash, data, {
        key,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
      });
    case 'ES':
      return sign(hash, data, { key, dsaEncoding: 'ieee-p1363' });
    default:
      return sign(null, data, key);
  }
}

/** @param payload  an object, or its text */
function token(alg: string, key: KeyObject | string, payload: object | string, header: object = {}): string {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
  const signed = `${encode(JSON.stringify({ alg, ...header }))}.${encode(text)}`;
  return `${signed}.${signatureOf(alg, signed, key).toString('base64url')}`;
}

const SIGNERS: readonly (readonly [alg: string, key: KeyName | undefined])[] = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'].map((alg) => [alg, 'rsa'] as const),
  ['ES256', 'p256'],
  ['ES384', 'p384'],
  ['ES512', 'p521'],
  ['ES256', 'p384'],
  ['EdDSA', 'ed'],
  ...['HS256', 'HS384', 'HS512'].map((alg) => [alg, undefined] as const),
];
const signer = (key: KeyName | undefined): KeyObject | string =>
  key === undefined ? SECRET : KEYS[key].privateKey;
const goodTokens = SIGNERS.map(([alg, key]) =>
  token(alg, signer(key), { sub: 'alice', n: 1.0 }, { kid: key ?? 'oct' }),
);
const [good = ''] = goodTokens;
const [goodHeader = '', goodPayload = '', goodSignature = ''] = good.split('.');
const verifiers = ['rs', 'ps', 'es', 'hs'].flatMap((each) =>
  ['256', '384', '512'].map((size) => `io.jwt.verify_${each}${size}`),
);

const jwks = (...keys: readonly object[]): string => JSON.stringify({ keys });
const ALL_JWKS = jwks(
  ...(['rsa', 'p256', 'p384', 'p521', 'ed', 'x'] as const).map((name) =>
    jwk(name, { kid: name, use: 'sig' }),
  ),
  oct({ kid: 'oct' }),
);

const oddTokens = [
  '',
  'a',
  'a.b',
  'a.b.c',
  '..',
  'a.b.c.d',
  `${good}.x`,
  `${goodHeader}.${goodPayload}.`,
  `${goodHeader}..${goodSignature}`,
  `.${goodPayload}.${goodSignature}`,
  `${goodHeader}=.${goodPayload}.${goodSignature}`,
  `${goodHeader}\n.${goodPayload}.${goodSignature}`,
  `${encode('[]')}.${goodPayload}.${goodSignature}`,
  `${encode('{}')}.${goodPayload}.${goodSignature}`,
  `${encode('{"alg":"none"}')}.${goodPayload}.`,
  `${encode('{"alg":1}')}.${goodPayload}.`,
  `${encode('{"alg":"RS256","enc":"x"}')}.${goodPayload}.`,
  `${encode('{"alg":"RS256"}null')}.${encode('{"a":1}null x')}.${goodSignature}`,
  `${goodHeader}.${encode('[1]')}.${goodSignature}`,
  `${goodHeader}.${encode('{"a":1,"a":2}')}.${goodSignature}`,
  `${goodHeader}.${encode('{"a":"\\ud800"}')}.${goodSignature}`,
  `${goodHeader}.${Buffer.from([0x7b, 0x22, 0xe2, 0x82, 0x22, 0x3a, 0x31, 0x7d]).toString('base64url')}.${goodSignature}`,
  `${goodHeader}.${goodPayload}.${goodSignature.slice(0, -2)}`,
  `${goodHeader}.${goodPayload}.AAAA`,
  `${goodHeader}.${goodPayload}.!!`,
];

describe('io.jwt', () => {
  it('decodes what OPA decodes', async () => {
    const nested = token('HS256', SECRET, `"${good}"`, { cty: 'JWT' });
    const tokens = [
      ...goodTokens,
      ...goodTokens,
      ...oddTokens,
      nested,
      token('HS256', SECRET, nested, { cty: 'JWT' }),
      token('HS256', SECRET, {}, { cty: 'jwt' }),
    ];
    expectMostDefined(
      await compareWithOpa(toolchain, [
        ...tokens.map((each) => aCall('io.jwt.decode', each)),
        aCall('io.jwt.decode', 1),
      ]),
    );
  });

  it('verifies what OPA verifies, with each kind of key, and nothing else', async () => {
    const authority = await createAuthority();
    const leaf = await authority.issue();
    const certificates = [
      ...(Object.keys(KEYS) as KeyName[]).map(pem),
      leaf.certificate,
      `${leaf.certificate}\n`,
      leaf.certificate + authority.certificate,
      `text\n${leaf.certificate}`,
      leaf.privateKey,
      pem('rsa').replaceAll('PUBLIC KEY', 'RSA PUBLIC KEY'),
      pem('rsa').trim(),
      pem('rsa').replaceAll('\n', '\r\n'),
      '',
      '{}',
      '{"keys":[]}',
      '{"keys":1}',
      '[',
      'x',
      ALL_JWKS,
      JSON.stringify(jwk('rsa')),
      JSON.stringify(oct()),
      jwks(jwk('rsa', { alg: 'RS256', x: [1, { y: null }], x5c: [] })),
      jwks(jwk('rsa', { alg: 'RSA-OAEP' }), jwk('rsa')),
      jwks(jwk('rsa', { alg: 'no' })),
      jwks(jwk('rsa'), { kty: 'no' }),
      jwks(jwk('p256', { crv: 'P-384' })),
      jwks(jwk('p256', { y: jwk('p256', {})['x' as never] })),
      jwks(jwk('k256')),
      jwks(jwk('rsa', { x5c: [leaf.certificate.replaceAll(/-----.*-----|\n/g, '')], key_ops: ['verify'] })),
      jwks(jwk('rsa', { x5c: ['AAAA'] })),
      jwks({ ...oct(), k: '' }),
      jwks(jwk('p384', { kid: 'rsa' }), jwk('rsa', { kid: 'other' })),
      jwks(jwk('ed', { crv: 'Ed448' })),
      jwks(jwk('small')),
      jwks(jwk('rsa', { e: 'AQ' })),
      jwks(jwk('rsa', { e: 'Ag' })),
    ];
    const calls: Call[] = [];
    for (const [at, [alg]] of SIGNERS.entries()) {
      const jwt = goodTokens[at] ?? '';
      const name = alg === 'EdDSA' ? 'io.jwt.verify_eddsa' : `io.jwt.verify_${alg.toLowerCase()}`;
      for (const certificate of certificates) {
        calls.push(aCall(name, jwt, certificate), aCall('io.jwt.decode_verify', jwt, { cert: certificate }));
      }
      calls.push(aCall(name, jwt, SECRET), aCall(name, jwt, pem('rsa')), aCall(name, jwt, 1));
    }
    expect(calls.length).toBeGreaterThan(800);
    const counts = await compareWithOpa(toolchain, calls);
    expect([...counts.values()].reduce((sum, [, defined]) => sum + defined, 0)).toBeGreaterThan(
      calls.length / 2,
    );
  });

  it('verifies each token with each function as OPA does', async () => {
    const tokens = [...goodTokens, ...oddTokens];
    const calls = [...verifiers, 'io.jwt.verify_eddsa'].flatMap((name) =>
      [...goodTokens, ...tokens].flatMap((jwt) => [
        aCall(name, jwt, name.includes('_hs') ? SECRET : ALL_JWKS),
      ]),
    );
    const small = token('RS256', KEYS.small.privateKey, {});
    expectMostDefined(
      await compareWithOpa(toolchain, [
        ...calls,
        aCall('io.jwt.verify_rs256', small, pem('small')),
        aCall('io.jwt.decode_verify', small, { cert: pem('small') }),
      ]),
    );
  });

  it('holds a token to all constraints, as OPA does', async () => {
    const now = 1_700_000_000;
    const seconds = [
      now - 1,
      now,
      now + 1,
      now + 0.5,
      `${now}.0`,
      '1e400',
      '1e10',
      '0',
      '-1',
      '"1"',
      'null',
      '1700000000.00000000000000001',
    ];
    const payloads = [
      ...seconds.flatMap((each) => [`{"exp":${each}}`, `{"nbf":${each}}`, `{"exp":2e9,"nbf":${each}}`]),
      ...['"a"', '["a"]', '["b","a"]', '[1]', '[]', '{}', '1', '""', '["",1]'].map((aud) => `{"aud":${aud}}`),
      '{"iss":"i"}',
      '{"iss":"j"}',
      '{}',
      '{"iss":"i","aud":"a","exp":2000000000}',
      '[]',
      '{"exp":1,"exp":2000000000}',
    ];
    const time = now * 1e9;
    const constraints = [
      { secret: SECRET, time },
      { secret: SECRET, time, aud: 'a' },
      { secret: SECRET, time: time + 500_000_000, iss: 'i' },
      { secret: SECRET, time, alg: 'HS256', iss: 'i', aud: 'a' },
    ];
    const headers = [
      { crit: ['x'], x: 1 },
      { crit: ['x'] },
      { crit: [] },
      { crit: ['alg'] },
      { crit: [1] },
      { crit: ['x', 1], x: 2 },
      { typ: 1 },
      { kid: 1 },
      { cty: 1 },
      { crit: 'x' },
      { x: 1 },
      { alg: '' },
      { alg: 'HMAC_WITH_SHA256' },
      { alg: 'hs256' },
      { alg: 'none' },
    ];
    const bad = [
      {},
      { secret: '' },
      { secret: SECRET, cert: pem('rsa') },
      { secret: 1 },
      { secret: SECRET, no: 1 },
      { secret: SECRET, time: -1 },
      { secret: SECRET, time: '1' },
      { secret: SECRET, alg: 1 },
      { secret: SECRET, iss: 1 },
      { cert: 1 },
      { secret: 'other' },
      { secret: SECRET, alg: 'HS512' },
      { cert: JSON.stringify(oct()) },
      { cert: JSON.stringify(oct({ alg: 'HS512' })) },
      { secret: pem('rsa') },
    ];
    const inner = token('HS256', SECRET, { sub: 'inner' });
    const calls = [
      ...payloads.flatMap((payload) =>
        constraints.map((each) => aCall('io.jwt.decode_verify', token('HS256', SECRET, payload), each)),
      ),
      ...headers.flatMap((header) => [
        aCall('io.jwt.decode_verify', token('HS256', SECRET, {}, header), { secret: SECRET }),
      ]),
      ...headers.map((header) =>
        aCall(
          'io.jwt.verify_rs256',
          token(
            'RS256',
            KEYS.rsa.privateKey,
            {},
            { ...header, ...('alg' in header ? {} : { alg: 'RS256' }) },
          ),
          pem('rsa'),
        ),
      ),
      ...bad.map((each) => aCall('io.jwt.decode_verify', token('HS256', SECRET, {}), each)),
      ...['JWT', 'jwt', 'Jwt', 'x'].map((cty) =>
        aCall('io.jwt.decode_verify', token('HS256', SECRET, inner, { cty }), { secret: SECRET }),
      ),
      aCall('io.jwt.decode_verify', token('HS256', SECRET, token('HS512', 'other', {}), { cty: 'JWT' }), {
        secret: SECRET,
      }),
      ...oddTokens.map((each) => aCall('io.jwt.decode_verify', each, { cert: ALL_JWKS })),
    ];
    expectMostDefined(await compareWithOpa(toolchain, calls));
  });
});
