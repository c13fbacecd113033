/** For each example policy: requests that are shaped like what it decides about, and what they must bring about. */
import { type Arbitrary, constant, constantFrom, oneof, option, record, subarray, tuple } from 'fast-check';
import type { Json, JsonObject } from '../../src/core/json.ts';

export interface Example {
  readonly name: string;
  readonly input: Arbitrary<ExampleInput>;
  /** rules that say the same whatever is asked */
  readonly constants?: readonly string[];
  /** what must hold for some of the inputs and not for all of them, for rules that several definitions make up */
  readonly kinds: Readonly<Record<string, (input: ExampleInput, result: Result) => boolean>>;
}

export type Result = {
  readonly allowed: boolean;
  readonly http_status?: number;
  readonly headers?: Readonly<Record<string, string>>;
};

export interface ExampleInput {
  readonly attributes: {
    readonly request: {
      readonly time?: string;
      readonly http: {
        readonly method: string;
        readonly path: string;
        readonly headers: Readonly<Record<string, string>>;
      };
    };
    readonly source: JsonObject;
  };
  readonly parsed_path: readonly string[];
  readonly identity: {
    readonly user?: { readonly issuer: string; readonly subject: string; readonly claims: JsonObject };
    readonly workload?: { readonly spiffe: string };
  };
}

interface Parts {
  readonly method: string;
  readonly path: readonly string[];
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly subject?: string | undefined;
  readonly claims?: JsonObject;
  readonly workload?: string | undefined;
  readonly time?: string | undefined;
  readonly address?: string;
}

function toInput(parts: Parts): ExampleInput {
  const { method, path, headers = {}, subject, claims = {}, workload, time, address = '192.0.2.1' } = parts;
  const given = Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return {
    attributes: {
      request: {
        ...(time !== undefined && { time }),
        http: { method, path: `/${path.join('/')}`, headers: Object.fromEntries(given) },
      },
      source: { address: { socketAddress: { address, portValue: 4711 } } },
    },
    parsed_path: path,
    identity: {
      ...(subject !== undefined && { user: { issuer: 'https://id.test', subject, claims } }),
      ...(workload !== undefined && { workload: { spiffe: workload } }),
    },
  };
}

/** One of them, and now and then nothing. */
const maybe = <T>(value: Arbitrary<T>): Arbitrary<T | undefined> =>
  option(value, { nil: undefined, freq: 8 });
const METHODS = constantFrom('GET', 'GET', 'GET', 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE');
/** What a claim should not be: a policy is asked about it all the same. */
const ODD = constantFrom<Json>(null, 7, 'clerk', { clerk: true }, ['clerk', 3], []);

const rbacJwt: Example = {
  name: 'rbac-jwt',
  input: record({
    method: METHODS,
    path: tuple(
      constantFrom('tenants', 'tenants', 'tenants', 'tenants', 'admin'),
      constantFrom('acme', 'acme', 'globex'),
      constantFrom('orders', 'invoices', 'settings'),
      constantFrom('', '7'),
    ).map((path) => path.filter((segment) => segment !== '')),
    subject: maybe(constantFrom('alice', 'bob', '')),
    claims: record({
      tenant: constantFrom<Json>('acme', 'acme', 'acme', 'globex', null),
      roles: oneof(
        {
          weight: 6,
          arbitrary: subarray(['viewer', 'clerk', 'accountant', 'operator', 'stranger'], { minLength: 1 }),
        },
        { weight: 1, arbitrary: ODD },
      ),
    }),
  }).map(toInput),
  kinds: {
    'a read is permitted': ({ attributes }, { allowed }) =>
      allowed && attributes.request.http.method === 'GET',
    'a write is permitted': ({ attributes }, { allowed }) =>
      allowed && attributes.request.http.method === 'PUT',
    'another tenant is open to an operator': ({ parsed_path: path, identity }, { allowed }) =>
      allowed && path[1] !== identity.user?.claims['tenant'],
    'a token is asked for': (_, { http_status: status }) => status === 401,
    'no role permits it': (_, { http_status: status }) => status === 403,
  },
};

const rebac: Example = {
  name: 'rebac',
  constants: ['sufficient'],
  input: record({
    method: METHODS,
    path: oneof(
      {
        weight: 9,
        arbitrary: tuple(
          constant('documents'),
          constantFrom('plan', 'plan', 'handbook', 'salaries', 'note', 'absent'),
        ),
      },
      {
        weight: 1,
        arbitrary: constantFrom(['documents'], ['folders', 'plan'], ['documents', 'plan', 'history'], ['']),
      },
    ),
    subject: maybe(constantFrom('ann', 'ann', 'ben', 'bea', 'bea', 'pam', 'avi', 'guest', 'stranger')),
  }).map(toInput),
  kinds: {
    'an owner deletes': ({ attributes }, { allowed }) =>
      allowed && attributes.request.http.method === 'DELETE',
    'an editor writes': ({ attributes }, { allowed }) => allowed && attributes.request.http.method === 'PUT',
    'more than reading is forbidden': (_, { http_status: status }) => status === 403,
    'there is nothing to see': (_, { http_status: status }) => status === 404,
  },
};

const basis = (name: string) => (_: ExampleInput, result: Result) => result.headers?.['x-basis'] === name;
const health = (name: string): string => `spiffe://health.test/${name}`;

/** What nobody meets by chance: the rest of such a request is still any. */
const ORDINARY: readonly Partial<Parts>[] = [
  { path: ['people', 'P1002', 'records'], subject: 'P1002' },
  { path: ['people', 'P1001', 'records'], workload: health('clinic-north'), claims: { roles: ['doctor'] } },
  { path: ['people', 'P1001', 'records'], workload: health('insurer'), headers: { 'x-purpose': 'claims' } },
  {
    workload: health('emergency'),
    headers: { 'x-break-glass': 'unconscious' },
    claims: { roles: ['doctor'] },
  },
];

const consent: Example = {
  name: 'consent',
  input: tuple(
    record({
      method: constantFrom('GET', 'GET', 'GET', 'GET', 'GET', 'PUT'),
      path: oneof(
        {
          weight: 9,
          arbitrary: tuple(
            constant('people'),
            constantFrom('P1001', 'P1001', 'P1002', 'P1003'),
            constant('records'),
          ),
        },
        {
          weight: 1,
          arbitrary: constantFrom(
            ['people', 'P1001'],
            ['persons', 'P1001', 'records'],
            ['people', 'P1001', 'records', '7'],
          ),
        },
      ),
      headers: record({
        'x-purpose': maybe(constantFrom('claims', 'claims', 'research', 'marketing')),
        'x-break-glass': option(
          constantFrom('unconscious after an accident', '  x  ', '', '         .          '),
          {
            nil: undefined,
          },
        ),
      }),
      subject: maybe(constantFrom('D7', 'D7', 'P1001', 'P1002', 'C3')),
      claims: record({
        roles: oneof({ weight: 6, arbitrary: subarray(['doctor', 'clerk']) }, { weight: 1, arbitrary: ODD }),
      }),
      workload: maybe(
        constantFrom(
          'insurer',
          'insurer',
          'university',
          'clinic-north',
          'clinic-north',
          'emergency',
          'emergency',
          'portal',
        ).map(health),
      ),
      time: maybe(
        constantFrom(
          '2026-03-31T23:59:59.999Z',
          '2026-04-01T00:00:00Z',
          '2026-11-29T10:15:30Z',
          '2026-12-31T12:00:00Z',
          '2028-01-01T00:00:00Z',
        ),
      ),
    }),
    option(constantFrom<Partial<Parts>>(...ORDINARY), { freq: 2 }),
  ).map(([parts, ordinary]) => toInput({ ...parts, ...ordinary })),
  kinds: {
    'own records': basis('own'),
    'a treatment': basis('treatment'),
    'a consent': basis('consent'),
    'broken glass': basis('break-glass'),
    'no consent': (_, { allowed }) => !allowed,
  },
};

const rateClassIs = (name: RegExp) => (_: ExampleInput, result: Result) =>
  name.test(result.headers?.['x-rate-class'] ?? '');

const rateClass: Example = {
  name: 'rate-class',
  input: record({
    method: METHODS,
    path: constantFrom(
      ['articles'],
      ['articles', '7'],
      ['articles', 'exports', '7'],
      ['articles', 'search'],
      ['search', '7'],
      [''],
    ),
    subject: option(constantFrom('ann', 'ben', 'partner-7', 'mallory'), { nil: undefined, freq: 3 }),
    claims: record({ plan: constantFrom<Json>('free', 'team', 'business', 'internal', null, 7) }),
    workload: option(constantFrom('spiffe://shop.test/checkout', 'spiffe://shop.test/reports'), {
      nil: undefined,
      freq: 3,
    }),
    address: constantFrom('192.0.2.1', '198.51.100.66', '2001:db8::1'),
  }).map(toInput),
  kinds: {
    'a plan of the data': rateClassIs(/^internal/),
    'a plan of the token': rateClassIs(/^team/),
    'the plan of a user without one': rateClassIs(/^free/),
    'no plan': rateClassIs(/^anonymous/),
    'an export': ({ parsed_path: path }, result) =>
      path.includes('exports') && rateClassIs(/-heavy$/)({} as never, result),
    'a search': ({ parsed_path: path }, result) =>
      path.includes('search') && rateClassIs(/-heavy$/)({} as never, result),
    'a suspended client': (_, { allowed }) => !allowed,
  },
};

const apiKeys: Example = {
  name: 'api-keys',
  input: record({
    method: METHODS,
    path: constantFrom(
      ['catalogue'],
      ['catalogue', '7'],
      ['catalogues'],
      ['orders'],
      ['orders', '7'],
      ['settings'],
      [''],
    ),
    headers: record({
      'x-api-key': maybe(
        constantFrom(
          'free-key-of-ann-0123456789abcdef',
          'team-key-of-ben-0123456789abcdef',
          'team-key-of-ben-0123456789abcdef',
          'full-key-of-eve-0123456789abcdef',
          'full-key-of-eve-0123456789abcdef',
          'lost-key-of-bob-0123456789abcdef',
          'guessed',
          '',
          'ключ',
        ),
      ),
    }),
  }).map(toInput),
  kinds: {
    'a tier includes it': (_, { allowed }) => allowed,
    'a tier does not include it': (_, { http_status: status }) => status === 403,
    'a key is asked for': (_, { http_status: status }) => status === 401,
  },
};

const quickstart: Example = {
  name: 'quickstart',
  input: record({
    method: METHODS,
    path: constantFrom(
      ['public', 'a'],
      ['public', 'b'],
      ['hello'],
      ['public'],
      ['publicity'],
      ['hello'],
      ['articles', '1'],
      ['secrets'],
      [''],
    ),
    subject: maybe(constantFrom('alice', 'bob')),
    claims: record({
      roles: oneof({ weight: 6, arbitrary: subarray(['editor', 'reader']) }, { weight: 1, arbitrary: ODD }),
    }),
  }).map(toInput),
  kinds: {
    'anybody reads what is public': ({ identity }, { allowed }) => allowed && identity.user === undefined,
    'a user says hello': ({ parsed_path: path }, { allowed }) => allowed && path[0] === 'hello',
    'an editor writes': ({ attributes }, { allowed }) => allowed && attributes.request.http.method === 'POST',
    'a token is asked for': (_, { http_status: status }) => status === 401,
    'no rule allows it': (_, { http_status: status }) => status === 403,
  },
};

export const EXAMPLES: readonly Example[] = [quickstart, rbacJwt, rebac, consent, rateClass, apiKeys];
