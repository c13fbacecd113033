/** `crypto.md5`, `crypto.sha…`, `crypto.hmac.*`. */
import { createHmac, hash, timingSafeEqual } from 'node:crypto';
import type { Family, Implementation } from './implementation.ts';
import { stringOf } from './operands.ts';

const digest =
  (algorithm: string): Implementation =>
  ([text]) =>
    hash(algorithm, stringOf(text), 'hex');

const hmac =
  (algorithm: string): Implementation =>
  ([text, key]) => {
    const message = stringOf(text);
    return createHmac(algorithm, stringOf(key)).update(message).digest('hex');
  };

export const digests: Family = {
  'crypto.md5': digest('md5'),
  'crypto.sha1': digest('sha1'),
  'crypto.sha256': digest('sha256'),
  'crypto.hmac.md5': hmac('md5'),
  'crypto.hmac.sha1': hmac('sha1'),
  'crypto.hmac.sha256': hmac('sha256'),
  'crypto.hmac.sha512': hmac('sha512'),
  'crypto.hmac.equal': ([one, other]) => {
    const a = Buffer.from(stringOf(one));
    const b = Buffer.from(stringOf(other));
    return a.length === b.length && timingSafeEqual(a, b);
  },
};
