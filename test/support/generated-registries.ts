/** Registries as fast-check makes them, and requests that these registries allow, or only just do not. */
import fc from 'fast-check';
import {
  expectedStatus,
  type PlainGrant,
  type PlainRegistry,
  type PlainRequest,
  type PlainService,
} from './reference-registry.ts';

export const INSTANCE = 'mesh';
export const NOW = '2026-06-01T12:00:00Z';
const PAST = '2026-06-01T11:59:59Z';
const FUTURE = '2026-06-02T12:00:00Z';

const MEMBERS = ['GOV/A', 'GOV/B', 'COM/C'] as const;
const APPS = MEMBERS.flatMap((member) => [`${member}/x`, `${member}/y`]);
const STRANGER = `spiffe://${INSTANCE}/other`;
const idOf = (app: string): string => `spiffe://${INSTANCE}/app/${app}`;
/** Everyone who calls; undefined shows no certificate. */
export const CALLERS: readonly (string | undefined)[] = [...APPS.map(idOf), STRANGER, undefined];

const PREFIXES = ['/', '/a', '/a/b', '/c:d', '/c'];
const LITERALS = ['a', 'b', 'stats', 'by-id', 'k:v', 'x+y', 'B'];
const VALUES = ['1', 'stats', 'a', 'a%20b', 'k%3Av', 'k:v', 'Stats', 'zz'];
const METHODS = ['GET', 'PUT', 'POST'];
const SERVICES = ['s0', 's1', 's2'] as const;
const ALWAYS = 'GOV/A/x';

const often = <T>(usual: T, ...others: readonly T[]) =>
  fc.oneof(
    { arbitrary: fc.constant(usual), weight: 5 },
    { arbitrary: fc.constantFrom(...others), weight: 1 },
  );
const stateArb = often('registered', 'pending', 'approved', 'suspended', 'disabled');
const partyOf = (state: string) => ({ state, ...(state === 'disabled' && { notice: 'later' }) });

const groupsArb = fc
  .tuple(fc.subarray(APPS), fc.subarray(APPS), fc.subarray(APPS), fc.boolean(), fc.subarray(['g0', 'g1']))
  .map(([g0, g1, g2, isNested, inG2]) => ({
    g0: { members: g0.map((app) => ({ app })) },
    g1: { members: [...g1.map((app) => ({ app })), ...(isNested ? [{ group: 'g0' }] : [])] },
    g2: { members: [...g2.map((app) => ({ app })), ...inG2.map((group) => ({ group }))] },
  }));

const segmentArb = fc.oneof({ arbitrary: fc.constantFrom(...LITERALS), weight: 3 }, fc.constant('{}'));
const operationsArb = fc.array(
  fc.tuple(fc.constantFrom(...METHODS), fc.array(segmentArb, { minLength: 1, maxLength: 3 })),
  { minLength: 1, maxLength: 6 },
);

/** No two operations match the same requests: a commit would refuse them. */
function toOperations(prefix: string, made: readonly (readonly [string, readonly string[]])[]) {
  const base = prefix === '/' ? '' : prefix;
  const shapes = new Map(made.map(([method, parts]) => [`${method} ${parts.join('/')}`, { method, parts }]));
  return [...shapes.values()].map(({ method, parts }, index) => ({
    id: `o${index}`,
    method,
    path: `${base}/${parts.map((part, at) => (part === '{}' ? `{p${at}}` : part)).join('/')}`,
  }));
}

const subjectArb = fc.oneof(
  { arbitrary: fc.constantFrom(...APPS).map((app) => ({ app })), weight: 3 },
  { arbitrary: fc.constantFrom('g0', 'g1', 'g2').map((group) => ({ group })), weight: 4 },
  { arbitrary: fc.constantFrom(STRANGER, ...APPS.map(idOf)).map((spiffe) => ({ spiffe })), weight: 2 },
);
const grantArb = fc.record({
  subject: subjectArb,
  picks: fc.array(fc.nat(5), { maxLength: 3 }),
  isDeny: fc.oneof({ arbitrary: fc.constant(false), weight: 3 }, fc.constant(true)),
  expiresAt: often<string | undefined>(undefined, PAST, FUTURE),
});

function toGrant({ subject, picks, isDeny, expiresAt }: MadeGrant, ids: readonly string[]): PlainGrant {
  const operations = [...new Set(picks.flatMap((pick) => ids[pick % Math.max(1, ids.length)] ?? []))];
  return {
    subject,
    operations: operations.length > 0 ? operations : ['*'],
    ...(isDeny ? { effect: 'deny' } : expiresAt !== undefined && { expiresAt }),
  };
}

interface MadeGrant {
  readonly subject: PlainGrant['subject'];
  readonly picks: readonly number[];
  readonly isDeny: boolean;
  readonly expiresAt: string | undefined;
}

const serviceArb = fc.record({
  operations: fc.option(operationsArb, { freq: 5, nil: undefined }),
  state: often('enabled', 'disabled'),
  owner: fc.option(fc.constantFrom(...APPS), { freq: 1, nil: undefined }),
  grants: fc.array(grantArb, { minLength: 1, maxLength: 5 }),
});

/** In each of them one app may do everything with `s0`, so that something is allowed. */
export const registryArb: fc.Arbitrary<PlainRegistry> = fc
  .record({
    members: fc.tuple(stateArb, stateArb),
    apps: fc.array(stateArb, { minLength: APPS.length, maxLength: APPS.length }),
    groups: groupsArb,
    prefixes: fc.shuffledSubarray(PREFIXES, { minLength: SERVICES.length, maxLength: SERVICES.length }),
    services: fc.array(serviceArb, { minLength: SERVICES.length, maxLength: SERVICES.length }),
  })
  .map(({ members, apps, groups, prefixes, services }) => {
    const plain: Record<string, PlainService> = {};
    const grants: Record<string, Record<string, PlainGrant>> = {};
    for (const [index, { operations: made, state, owner, grants: ofService }] of services.entries()) {
      const name = SERVICES[index] ?? 's';
      const prefix = prefixes[index] ?? '/';
      const operations = made && toOperations(prefix, made);
      const isFirst = index === 0;
      plain[name] = {
        prefix,
        ...(operations && { operations }),
        ...(!isFirst && owner !== undefined && { owner }),
        ...(!isFirst && state === 'disabled' && { state, notice: 'until Monday' }),
      };
      const ids = operations?.map(({ id }) => id) ?? [];
      grants[name] = Object.fromEntries(ofService.map((grant, at) => [`g${at}`, toGrant(grant, ids)]));
      if (isFirst) {
        grants[name] = Object.fromEntries(
          Object.entries(grants[name]).filter(([, { effect }]) => effect !== 'deny'),
        );
        grants[name]['always'] = { subject: { app: ALWAYS }, operations: ['*'] };
      }
    }
    return {
      members: Object.fromEntries(
        MEMBERS.map((name, at) => [name, partyOf(at === 0 ? 'registered' : (members[at - 1] ?? ''))]),
      ),
      apps: Object.fromEntries(
        APPS.map((name, at) => [name, partyOf(name === ALWAYS ? 'registered' : (apps[at] ?? ''))]),
      ),
      groups,
      services: plain,
      grants,
    };
  });

export interface GeneratedRequest {
  readonly request: PlainRequest;
  readonly expected: number;
  /** one step away from a request that is allowed */
  readonly isNear: boolean;
}

/** Numbers that choose: what they choose from depends on the registry. */
const choiceArb = fc.record({
  kind: fc.nat(99),
  base: fc.nat(10_000),
  fill: fc.array(fc.nat(100), { minLength: 4, maxLength: 4 }),
  spelling: fc.nat(5),
  step: fc.nat(11),
  other: fc.nat(100),
});
export interface Choice {
  readonly kind: number;
  readonly base: number;
  readonly fill: readonly number[];
  readonly spelling: number;
  readonly step: number;
  readonly other: number;
}

export const choicesArb = (count: number): fc.Arbitrary<readonly Choice[]> =>
  fc.array(choiceArb, { minLength: count, maxLength: count });

const WHEN = { instance: INSTANCE, now: NOW };

/** @param choices  each of them becomes a request: almost half of them allowed, half of them a step away from that */
export function toRequests(registry: PlainRegistry, choices: readonly Choice[]): readonly GeneratedRequest[] {
  const targets = Object.values(registry.services).flatMap(({ prefix, operations }) =>
    (operations ?? [{ method: 'GET', path: `${prefix === '/' ? '' : prefix}/{p}` }]).map(
      ({ method, path }) => ({
        method,
        path,
      }),
    ),
  );
  const everything = targets.flatMap((target) => CALLERS.map((spiffe) => ({ ...target, spiffe })));
  const known = new Map<string, number>();
  const statusOf = (request: PlainRequest): number => {
    const key = `${request.spiffe ?? ''} ${request.method} ${request.target}`;
    const status = known.get(key) ?? expectedStatus(registry, request, WHEN);
    known.set(key, status);
    return status;
  };
  return choices.map((choice) => {
    const path = (template: string): string => fillIn(template, choice.fill);
    const all = everything.map(({ method, path: template, spiffe }): PlainRequest => {
      return { method, target: path(template), ...(spiffe !== undefined && { spiffe }) };
    });
    const allowed = all.filter((request) => statusOf(request) === 200);
    const from = choice.kind < 95 && allowed.length > 0 ? allowed : all;
    const base = from[choice.base % from.length] ?? { method: 'GET', target: '/' };
    const isNear = choice.kind < 50;
    const request = isNear
      ? stepAway(base, choice)
      : { ...base, target: spell(base.target, choice.spelling) };
    return { request, expected: statusOf(request), isNear };
  });
}

function fillIn(template: string, fill: readonly number[]): string {
  let at = 0;
  return template.replaceAll(/\{[^}]*\}/g, () => {
    const value = VALUES[(fill[at % fill.length] ?? 0) % VALUES.length] ?? '1';
    at += 1;
    return value;
  });
}

const hex = (character: string): string => `%${character.charCodeAt(0).toString(16)}`;

/** Another spelling of the same path. @param spelling  0: as it is */
function spell(target: string, spelling: number): string {
  switch (spelling) {
    case 1:
      return target.replace(/[a-z](?=[^/]*$)/, hex);
    case 2:
      return target.replace('/', '//');
    case 3:
      return `/zz/..${target}`;
    case 4:
      return `${target}?x=/../;%2f`;
    case 5:
      return target.replace(/[:+]/, (sign) => hex(sign).toUpperCase());
    default:
      return target;
  }
}

/** One segment, the method, the caller, or the encoding away. */
function stepAway(base: PlainRequest, { step, other }: Choice): PlainRequest {
  const { target } = base;
  const literal = LITERALS[other % LITERALS.length] ?? 'a';
  const cut = target.lastIndexOf('/');
  const { spiffe: _spiffe, ...anonymous } = base;
  const caller = CALLERS[other % CALLERS.length];
  switch (step) {
    case 0:
    case 1:
      return { ...base, target: `${target.slice(0, cut)}/${literal}` };
    case 2:
      return { ...base, target: `${target}/${literal}` };
    case 3:
      return { ...base, target: `${target}/` };
    case 4:
      return { ...base, method: METHODS.find((method) => method !== base.method) ?? 'GET' };
    case 5:
    case 6:
      return caller === undefined ? anonymous : { ...anonymous, spiffe: caller };
    case 7:
      return { ...base, target: target.replace(/[a-z](?=[^a-z]*$)/, (letter) => letter.toUpperCase()) };
    case 8:
      return { ...base, target: `${target};${literal}` };
    case 9:
      // a target begins with a slash, or it is no request
      return {
        ...base,
        target: cut > 0 ? `${target.slice(0, cut)}%2F${target.slice(cut + 1)}` : `${target}%2F`,
      };
    case 10:
      return { ...base, target: `${target}/%2e%2E/${literal}` };
    default:
      return { ...base, target: `${target.slice(0, cut)}/${hex('.')}${hex('.')}/${literal}` };
  }
}
