/** `base64.*`, `base64url.*`, `hex.*`: as strict as Go's decoders, which skip line breaks and no more. */
import { byteLength, textOfBytes } from './bytes.ts';
import { type Family, fail } from './implementation.ts';
import { stringOf } from './operands.ts';

const LINE_BREAKS = /[\r\n]+/g;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const BASE64URL = /^(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-]{2}==|[A-Za-z0-9_-]{3}=)?$/;
const HEX = /^(?:[0-9A-Fa-f]{2})*$/;

/** @returns undefined  for what is no base64 */
export function decodeBase64(text: string): Buffer | undefined {
  const joined = text.replace(LINE_BREAKS, '');
  return BASE64.test(joined) ? Buffer.from(joined, 'base64') : undefined;
}

/**
 * Padding may be missing. Whether it is, OPA sees at the length with line breaks.
 *
 * @returns undefined  for what is no base64url
 */
export function decodeBase64Url(text: string): Buffer | undefined {
  const padded = text.endsWith('=') ? text : text + paddingOf(byteLength(text));
  const joined = padded.replace(LINE_BREAKS, '');
  return BASE64URL.test(joined) ? Buffer.from(joined, 'base64url') : undefined;
}

/** A length that no base64 has gets what makes it fail. */
function paddingOf(length: number): string {
  return ['', '*', '==', '='][length % 4] ?? '';
}

export const encoding: Family = {
  'base64.decode': ([text]) => textOfBytes(decodeBase64(stringOf(text)) ?? fail()),
  'base64.is_valid': ([text]) => typeof text === 'string' && decodeBase64(text) !== undefined,
  'base64url.encode_no_pad': ([text]) => Buffer.from(stringOf(text)).toString('base64url'),
  'base64url.decode': ([text]) => textOfBytes(decodeBase64Url(stringOf(text)) ?? fail()),
  'hex.encode': ([text]) => Buffer.from(stringOf(text)).toString('hex'),
  'hex.decode': ([text]) => {
    const digits = stringOf(text);
    return HEX.test(digits) ? textOfBytes(Buffer.from(digits, 'hex')) : fail();
  },
};
