/**
 * What a registry means, said again and as plainly as it can be: loops over everything, no index, nothing that the
 * program compiles with. Paths are read by the words of RFC 3986; where we are stricter, it says so.
 *
 * It knows the form of a document of `/v1/config`, as far as grants decide.
 */
export interface PlainRegistry {
  readonly members: Readonly<Record<string, { readonly state: string }>>;
  readonly apps: Readonly<Record<string, { readonly state: string }>>;
  readonly groups: Readonly<Record<string, { readonly members: readonly PlainParty[] }>>;
  readonly services: Readonly<Record<string, PlainService>>;
  readonly grants: Readonly<Record<string, Readonly<Record<string, PlainGrant>>>>;
}

type PlainParty = { readonly app: string } | { readonly group: string };

export interface PlainService {
  readonly prefix: string;
  readonly operations?: readonly PlainOperation[];
  readonly owner?: string;
  readonly state?: string;
}

interface PlainOperation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
}

export interface PlainGrant {
  readonly subject: PlainParty | { readonly spiffe: string };
  readonly operations: readonly string[];
  readonly effect?: string;
  /** RFC 3339, in UTC with seconds: comparable as text */
  readonly expiresAt?: string;
}

export interface PlainRequest {
  /** undefined: no certificate */
  readonly spiffe?: string;
  readonly method: string;
  /** as it is sent, with its query */
  readonly target: string;
}

/** @returns the HTTP status; 200: the upstream was reached */
export function expectedStatus(
  registry: PlainRegistry,
  { spiffe, method, target }: PlainRequest,
  { instance, now }: { readonly instance: string; readonly now: string },
): 200 | 400 | 403 | 404 | 503 {
  const segments = readPath(target);
  if (segments === undefined) return 400;
  let found: { readonly name: string; readonly service: PlainService } | undefined;
  for (const [name, service] of Object.entries(registry.services)) {
    if (!startsWith(segments, segmentsOf(service.prefix))) continue;
    if (found === undefined || service.prefix.length > found.service.prefix.length) found = { name, service };
  }
  if (found === undefined) return 404;
  const { name, service } = found;
  const state = stateOfService(registry, service);
  if (state === 'closed') return 404;
  const operation = operationOf(service, method, segments);
  if (operation === undefined) return 404;
  const isAllowed =
    spiffe !== undefined && mayCall(registry, { spiffe, service: name, operation, instance, now });
  if (!isAllowed) return 403;
  return state === 'disabled' ? 503 : 200;
}

/** @returns undefined  when the request is refused for its path alone */
function readPath(target: string): readonly string[] | undefined {
  const path = target.split('?')[0] ?? '';
  // ours: an encoded slash or backslash is refused, whatever becomes of the rest
  if (/%2f|%5c/i.test(path)) return undefined;
  // 6.2.2.2: percent-encoded octets of unreserved characters are these characters
  const decoded = path.replaceAll(/%([0-9a-f]{2})/gi, (escape: string, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return /^[A-Za-z0-9._~-]$/.test(character) ? character : escape;
  });
  // 5.2.4: "." and ".." are resolved
  const resolved: string[] = [];
  const parts = decoded.slice(1).split('/');
  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1;
    if (part === '..') resolved.pop();
    if (part !== '.' && part !== '..') resolved.push(part);
    else if (isLast) resolved.push('');
  }
  // ours: several slashes are one; a last empty segment stays
  const segments = resolved.filter((part, index) => part !== '' || index === resolved.length - 1);
  // ours: path parameters, raw or encoded, and control characters are refused
  const unclean = segments.some((part) => /[;\\#]|%3b|%[01][0-9a-f]|%7f|%(?![0-9a-f]{2})/i.test(part));
  return unclean ? undefined : segments;
}

function segmentsOf(path: string): readonly string[] {
  return path === '/' ? [] : path.slice(1).split('/');
}

/** Two spellings of one segment are the same segment. */
function isSameSegment(sent: string, literal: string): boolean {
  return decodeURIComponent(sent) === literal;
}

function startsWith(segments: readonly string[], prefix: readonly string[]): boolean {
  return (
    segments.length >= prefix.length &&
    prefix.every((literal, index) => isSameSegment(segments[index] ?? '', literal))
  );
}

function isParameter(segment: string): boolean {
  return segment.startsWith('{');
}

/** Concrete before templated: of those that match, the one whose first difference is a literal. */
function operationOf(
  { operations }: PlainService,
  method: string,
  segments: readonly string[],
): string | undefined {
  if (operations === undefined) return '*';
  let best: { readonly id: string; readonly template: readonly string[] } | undefined;
  for (const operation of operations) {
    const template = segmentsOf(operation.path);
    const sent = segments.length === 1 && segments[0] === '' && template.length === 0 ? [] : segments;
    const matches =
      operation.method === method &&
      template.length === sent.length &&
      template.every((part, index) => {
        const other = sent[index] ?? '';
        return isParameter(part) ? other !== '' : isSameSegment(other, part);
      });
    if (matches && (best === undefined || isMoreConcrete(template, best.template))) {
      best = { id: operation.id, template };
    }
  }
  return best?.id;
}

function isMoreConcrete(a: readonly string[], b: readonly string[]): boolean {
  const at = a.findIndex((part, index) => isParameter(part) !== isParameter(b[index] ?? ''));
  return at !== -1 && !isParameter(a[at] ?? '');
}

function memberOf(app: string): string {
  return app.split('/').slice(0, 2).join('/');
}

function isRegistered({ apps, members }: PlainRegistry, app: string): boolean {
  return apps[app]?.state === 'registered' && members[memberOf(app)]?.state === 'registered';
}

function stateOfService(
  registry: PlainRegistry,
  { owner, state }: PlainService,
): 'open' | 'disabled' | 'closed' {
  if (owner === undefined) return state === 'disabled' ? 'disabled' : 'open';
  const states = [registry.apps[owner]?.state, registry.members[memberOf(owner)]?.state];
  if (states.some((each) => each !== 'registered' && each !== 'disabled')) return 'closed';
  return state === 'disabled' || states.includes('disabled') ? 'disabled' : 'open';
}

interface Question {
  readonly spiffe: string;
  readonly service: string;
  readonly operation: string;
  readonly instance: string;
  readonly now: string;
}

function mayCall(registry: PlainRegistry, question: Question): boolean {
  const { spiffe, service, operation, instance, now } = question;
  const app = Object.keys(registry.apps).find((each) => spiffe === `spiffe://${instance}/app/${each}`);
  if (app !== undefined && !isRegistered(registry, app)) return false;
  let allowed = false;
  for (const grant of Object.values(registry.grants[service] ?? {})) {
    if (grant.expiresAt !== undefined && grant.expiresAt <= now) continue;
    if (!grant.operations.includes('*') && !grant.operations.includes(operation)) continue;
    const { subject } = grant;
    const isMeant =
      'spiffe' in subject ? subject.spiffe === spiffe : app !== undefined && contains(registry, subject, app);
    if (!isMeant) continue;
    if (grant.effect === 'deny') return false;
    allowed = true;
  }
  return allowed;
}

function contains(registry: PlainRegistry, party: PlainParty, app: string): boolean {
  if ('app' in party) return party.app === app;
  return (registry.groups[party.group]?.members ?? []).some((each) => contains(registry, each, app));
}
