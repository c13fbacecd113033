/**
 * Secrets within a text: what looks like one wherever it stands, and the values of named query parameters. Clients choose
 * these texts: every pattern here takes time in proportion to their length.
 */

export const REDACTED = 'redacted';

/** Where a run of base64url with dots begins; `(?<!…)` is what keeps a long run from being tried from each place in it. */
const DOTTED = /(?<![\w-])[\w-]+(?:\.[\w-]*)+/g;
/** Of a JWT, `{"` in base64, and how long its header (`{"alg":"x"}`) and what is left of its claims are at least. */
const JWT_BEGIN = 'eyJ';
const MIN_HEADER = 15;
const MIN_CLAIMS = 4;
const TOKEN = /\b(bearer|dpop)(\s+|%20|\+)[^\s,;&"']{8,}/gi;
const BASIC = /\b(basic)(\s+|%20|\+)([A-Za-z0-9+/_-]{4,}={0,2})/gi;
const USER_INFO = /(\/\/)[^\s/?#@:]+:[^\s/?#@]*@/g;
/** Most texts hold nothing of it, and one look says so. */
const SUSPICIOUS = /eyJ|bearer|dpop|basic|@/i;

export function scrubText(text: string): string {
  if (!SUSPICIOUS.test(text)) return text;
  return text
    .replaceAll(DOTTED, withoutJwt)
    .replaceAll(TOKEN, `$1$2${REDACTED}`)
    .replaceAll(BASIC, (whole, scheme: string, space: string, credential: string) =>
      Buffer.from(credential, 'base64').includes(':') ? `${scheme}${space}${REDACTED}` : whole,
    )
    .replaceAll(USER_INFO, `$1${REDACTED}@`);
}

/** Whole, or cut off behind its claims; whatever stands before or behind it without a space. */
function withoutJwt(run: string): string {
  const parts = run.split('.');
  const first = parts.findIndex((part, index) => {
    const at = part.indexOf(JWT_BEGIN);
    return at >= 0 && part.length - at >= MIN_HEADER && (parts[index + 1] ?? '').length >= MIN_CLAIMS;
  });
  const header = parts[first];
  if (header === undefined) return run;
  return [...parts.slice(0, first), `${header.slice(0, header.indexOf(JWT_BEGIN))}${REDACTED}`].join('.');
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
