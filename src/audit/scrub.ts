/** Secrets within a text: what looks like one wherever it stands, and the values of named query parameters. */

export const REDACTED = 'redacted';

/** A JWT, whole or without its signature; `eyJ` is `{"` in base64. */
const JWT = /eyJ[\w-]{4,}\.[\w-]{2,}(?:\.[\w-]*)*/g;
const SCHEME = /\b(bearer|basic|dpop|digest|negotiate)(\s+|%20|\+)[^\s,;&"']{4,}/gi;
const USER_INFO = /(\/\/)[^\s/?#@]+:[^\s/?#@]*@/g;
/** Most texts hold nothing of it, and one look says so. */
const SUSPICIOUS = /eyJ|bearer|basic|dpop|digest|negotiate|@/i;

export function scrubText(text: string): string {
  if (!SUSPICIOUS.test(text)) return text;
  return text
    .replaceAll(JWT, REDACTED)
    .replaceAll(SCHEME, `$1$2${REDACTED}`)
    .replaceAll(USER_INFO, `$1${REDACTED}@`);
}

/** The values of secret parameters too: of a path with a query, a URL, or a form. */
export function scrubTarget(target: string, isSecret: (name: string) => boolean): string {
  const pairs = target.replaceAll(/([?&;#])([^?&;#=]*)=([^&;#]*)/g, (pair, before: string, name: string) =>
    isSecret(decoded(name)) ? `${before}${name}=${REDACTED}` : pair,
  );
  return scrubText(pairs);
}

/** As a server would read it; what is no escape stays. */
function decoded(name: string): string {
  const spaced = name.replaceAll('+', ' ');
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced.replaceAll(/%([0-9a-f]{2})/gi, (_escape, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
  }
}
