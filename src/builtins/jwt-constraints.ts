/** The second argument of `io.jwt.decode_verify`, and what it asks of claims. */
import { createSecretKey, type KeyObject } from 'node:crypto';
import type { BuiltinContext } from './builtin.ts';
import { floatText } from './float-text.ts';
import { fail, refuse } from './implementation.ts';
import { jsonToValue } from './json-read.ts';
import type { VerificationKey } from './jwk-keys.ts';
import { keysOf } from './jwt-keys.ts';
import type { JsonObject } from './jwt-token.ts';
import { compareNumbers } from './number.ts';
import { numberOf, stringOf } from './operands.ts';
import { RegoNumber, RegoObject, type Value } from './value.ts';

export interface Constraints {
  readonly keys: readonly VerificationKey[] | KeyObject;
  /** '' where any will do */
  readonly alg: string;
  readonly iss: string;
  /** '' where a token must have none */
  readonly aud: string;
  /** the text of a number */
  readonly nowSeconds: string;
}

const KNOWN = ['cert', 'secret', 'alg', 'iss', 'aud', 'time'];

export function readConstraints(object: RegoObject, context: BuiltinContext): Constraints {
  for (const [name] of object.entries) {
    if (typeof name !== 'string') refuse('A constraint of io.jwt.decode_verify has no name');
    if (!KNOWN.includes(name)) fail();
  }
  const text = (name: string): string => stringOf(object.get(name) ?? '');
  const cert = object.get('cert');
  const secret = text('secret');
  if ((cert === undefined) === (secret === '')) fail();
  return {
    keys: cert === undefined ? createSecretKey(Buffer.from(secret)) : keysOf(stringOf(cert)),
    alg: text('alg'),
    iss: text('iss'),
    aud: text('aud'),
    nowSeconds: secondsOf(object.get('time') ?? new RegoNumber(context.nowNs.toString())),
  };
}

function secondsOf(value: Value): string {
  const ns = Number(numberOf(value).text);
  return Number.isFinite(ns) && ns >= 0 ? floatText(ns / 1e9) : fail();
}

/** `iss`, `aud`, `exp` and `nbf`; a token need not have the last two. */
export function meets(payload: JsonObject, { iss, aud, nowSeconds }: Constraints): boolean {
  const claims = payload.value;
  const has = (name: string): boolean => Object.hasOwn(claims, name);
  if (iss !== '') {
    if (!has('iss')) return false;
    if (typeof claims['iss'] !== 'string') refuse('The issuer of a token is no string');
    if (claims['iss'] !== iss) return false;
  }
  if (has('aud') ? !isAudience(claims['aud'], aud) : aud !== '') return false;
  if (has('exp') && compareNumbers(nowSeconds, claimNumber(payload, 'exp')) >= 0) return false;
  return !has('nbf') || compareNumbers(nowSeconds, claimNumber(payload, 'nbf')) >= 0;
}

function isAudience(claim: unknown, aud: string): boolean {
  return Array.isArray(claim) ? claim.includes(aud) : claim === aud;
}

/** with all its digits */
function claimNumber({ value, rego }: JsonObject, name: string): string {
  const claim = value[name];
  if (typeof claim !== 'number') return fail();
  if (Number.isSafeInteger(claim) && !/\d[.eE]/.test(rego.text)) return claim.toString();
  const whole = jsonToValue(rego.text);
  return whole instanceof RegoObject ? numberOf(whole.get(name)).text : fail();
}
