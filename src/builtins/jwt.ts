/**
 * `io.jwt.*` without signing, with OPA's rules: which key is tried, what an unknown critical header means, where a token
 * that is not valid is `false` and where the call is an error.
 *
 * @see RFC 7519, section 7.2
 */
import type { BuiltinContext } from './builtin.ts';
import { textOfJsonBytes } from './bytes.ts';
import { type Family, fail, type Implementation, refuse } from './implementation.ts';
import { type Constraints, meets, readConstraints } from './jwt-constraints.ts';
import { candidates, keysOf } from './jwt-keys.ts';
import { isMac, isSignedBy, SCHEMES, type Scheme } from './jwt-signature.ts';
import {
  decodeHeader,
  decodeObject,
  decodePart,
  type Header,
  type JsonObject,
  readHeader,
  splitToken,
  type Token,
} from './jwt-token.ts';
import { objectOf, stringOf } from './operands.ts';
import { Verbatim } from './write-text.ts';

const NESTED = 'JWT';
const QUOTES_AROUND = /^["']+|["']+$/g;
const UNITS_OF_MAC = 10_000;

function decode(text: string): Verbatim {
  const token = splitToken(text);
  const header = decodeHeader(token);
  const payload = decodePart(token.payload);
  if (Object.hasOwn(header.value, 'cty')) {
    const { cty } = header.value;
    if (typeof cty !== 'string') refuse('The content type of a token is no string');
    if (cty === NESTED) return decode(textOfJsonBytes(payload).replaceAll(QUOTES_AROUND, ''));
  }
  const { rego } = decodeObject(payload);
  const signature = decodePart(token.signature).toString('hex');
  return new Verbatim(`[${header.rego.text}, ${rego.text}, "${signature}"]`);
}

const verifyWithKey =
  (scheme: Scheme): Implementation =>
  ([jwt, cert], context) => {
    const token = splitToken(stringOf(jwt));
    const keys = keysOf(stringOf(cert));
    const signed = { text: signedText(token), signature: decodePart(token.signature) };
    const header = readHeader(decodeHeader(token));
    return candidates(keys, header).some(({ key }) => isSignedBy(signed, key, scheme, 'lax', context));
  };

const verifyWithSecret =
  ({ hash }: Scheme): Implementation =>
  ([jwt, secret], context) => {
    const text = stringOf(jwt);
    const key = stringOf(secret);
    const token = splitToken(text);
    context.charge(UNITS_OF_MAC);
    return isMac(Buffer.from(signedText(token)), decodePart(token.signature), key, hash);
  };

function signedText({ header, payload }: Token): string {
  return `${header}.${payload}`;
}

const UNVERIFIED = new Verbatim('[false, {}, {}]');

function decodeVerify(text: string, constraints: Constraints, context: BuiltinContext): Verbatim {
  const token = splitToken(text);
  const object = decodeHeader(token);
  const header = readHeader(object);
  if (!header.isValid || (constraints.alg !== '' && constraints.alg !== header.alg)) return UNVERIFIED;
  if (!isSigned(token, header, constraints, context)) return UNVERIFIED;
  const bytes = decodePart(token.payload);
  if (header.cty.toLowerCase() === NESTED.toLowerCase()) {
    return decodeVerify(textOfJsonBytes(bytes), constraints, context);
  }
  return verified(object, decodeObject(bytes), constraints);
}

function verified(header: JsonObject, payload: JsonObject, constraints: Constraints): Verbatim {
  if (!meets(payload, constraints)) return UNVERIFIED;
  return new Verbatim(`[true, ${header.rego.text}, ${payload.rego.text}]`);
}

function isSigned(token: Token, header: Header, { keys }: Constraints, context: BuiltinContext): boolean {
  const signed = { text: signedText(token), signature: decodePart(token.signature) };
  const scheme = SCHEMES.get(header.alg);
  if (scheme === undefined) return false;
  if ('type' in keys) return isSignedBy(signed, keys, scheme, 'jws', context);
  return candidates(keys, header).some(({ key }) => isSignedBy(signed, key, scheme, 'jws', context));
}

function schemeOf(name: string): Scheme {
  return SCHEMES.get(name) ?? fail();
}

const SIZES = ['256', '384', '512'];
const named = (prefix: string, make: (scheme: Scheme) => Implementation): Family =>
  Object.fromEntries(
    SIZES.map((size) => [`io.jwt.verify_${prefix}${size}`, make(schemeOf(`${prefix.toUpperCase()}${size}`))]),
  );

export const jwt: Family = {
  'io.jwt.decode': ([text]) => decode(stringOf(text)),
  'io.jwt.decode_verify': ([text, constraints], context) => {
    const read = readConstraints(objectOf(constraints), context);
    return decodeVerify(stringOf(text), read, context);
  },
  ...named('rs', verifyWithKey),
  ...named('ps', verifyWithKey),
  ...named('es', verifyWithKey),
  ...named('hs', verifyWithSecret),
  'io.jwt.verify_eddsa': verifyWithKey(schemeOf('EdDSA')),
};
