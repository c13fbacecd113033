import { describe, expect, it } from 'vitest';
import type { AuthorizationRequest } from '../../../src/core/authorization-request.ts';
import { Failure } from '../../../src/core/failure.ts';
import type { AuthenticateMode, Principal } from '../../../src/core/principal.ts';
import { type DecideDeps, decide } from '../../../src/decision/decide.ts';
import type { ServiceRules } from '../../../src/decision/select-policy.ts';
import type { Settings } from '../../../src/registry/model.ts';

interface World {
  readonly extensions?: Record<string, string>;
  readonly services?: Record<string, ServiceRules>;
  readonly settings?: Settings;
  readonly released?: readonly string[];
  readonly principal?: Principal | 'authentication_required' | Failure;
  readonly evaluate?: () => never;
  /** result of the policy; default true */
  readonly says?: boolean;
  /** `<service> <spiffe> <operation>` */
  readonly grants?: readonly string[];
  readonly barred?: readonly string[];
}
const DEADLINE = { atMs: Number.POSITIVE_INFINITY, signal: () => new AbortController().signal };

/** What happened, in order, and how it ended. */
async function run(world: World) {
  const events: string[] = [];
  const request: AuthorizationRequest = {
    contextExtension: (name) => world.extensions?.[name],
    headerValues: () => [],
    sourcePrincipal: '',
    sourceCertificate: '',
    writeInput: (identity) => Buffer.from(JSON.stringify({ identity })),
  };
  const deps: DecideDeps = {
    registry: {
      service: (name) => {
        const value = world.services?.[name];
        return value && { value };
      },
      settings: () => world.settings && { value: world.settings },
      isGranted: (...asked) => world.grants?.includes(asked.join(' ')) ?? false,
      isBarred: (spiffe) => world.barred?.includes(spiffe) ?? false,
    },
    policies: {
      releasedNames: () => world.released ?? [],
      select: (name) =>
        (world.released ?? []).includes(name)
          ? {
              name,
              revision: 'r',
              seq: 7,
              reads: true,
              evaluate: (entrypoint, input) => {
                events.push(`evaluate ${name} ${entrypoint} ${Buffer.from(input).toString()}`);
                world.evaluate?.();
                const value = world.says ?? true;
                return { defined: true, value, text: String(value) };
              },
            }
          : undefined,
    },
    authenticate: async (_request, mode: AuthenticateMode) => {
      events.push(`authenticate ${mode}`);
      if (world.principal instanceof Failure) throw world.principal;
      return world.principal ?? {};
    },
  };
  try {
    const decision = await decide(request, deps, DEADLINE);
    if (decision.effect === 'allow') return { events, outcome: 'allow' };
    const { reason: outcome, decidedBy } = decision;
    return { events, outcome, ...(decidedBy && { decidedBy }) };
  } catch (thrown) {
    return { events, outcome: Failure.from(thrown).code };
  }
}

const ORDERS: ServiceRules = {
  access: 'policy',
  policy: 'orders',
  entrypoint: 'orders/rule',
  authenticate: 'jwt',
};
const ALLOW = 'envoy/authz/allow';
const ANONYMOUS_INPUT = '{"identity":{}}';

describe('decide', () => {
  it('takes policy, entrypoint and credential of the service', async () => {
    expect(
      await run({
        extensions: { service: 'orders' },
        services: { orders: ORDERS },
        released: ['orders', 'other'],
      }),
    ).toEqual({
      events: ['authenticate jwt', `evaluate orders orders/rule ${ANONYMOUS_INPUT}`],
      outcome: 'allow',
    });
  });

  it('uses the defaults where the service says nothing', async () => {
    const services = { orders: { access: 'policy', policy: 'orders' } as const };
    expect(
      await run({
        extensions: { service: 'orders' },
        services,
        released: ['orders'],
        settings: { authenticate: 'mtls' },
      }),
    ).toEqual({
      events: ['authenticate none', `evaluate orders ${ALLOW} ${ANONYMOUS_INPUT}`],
      outcome: 'allow',
    });
  });

  it('lets the service win over settings, and takes a policy extension that says the same', async () => {
    const world = {
      extensions: { service: 'orders', policy: 'orders' },
      services: { orders: ORDERS },
      settings: { defaultPolicy: 'x' },
      released: ['orders'],
    };
    expect((await run(world)).outcome).toBe('allow');
  });

  it.each<[string, World]>([
    ['an unknown service', { extensions: { service: 'nowhere' } }],
    ['an empty service name', { extensions: { service: '' } }],
    [
      'a service with another policy than the request names',
      { extensions: { service: 'orders', policy: 'quickstart' } },
    ],
    ['a service that grants alone decide', { extensions: { service: 'inner' } }],
    ['a policy that is not selectable', { extensions: { policy: 'quickstart' } }],
    [
      'a policy that is the default, but not selectable',
      { extensions: { policy: 'orders' }, settings: { defaultPolicy: 'orders' } },
    ],
  ])('denies %s without asking anybody', async (_title, world) => {
    const services = { orders: ORDERS, inner: { access: 'grants' } as const };
    expect(await run({ services, released: ['orders', 'quickstart'], ...world })).toEqual({
      events: [],
      outcome: 'selector_mismatch',
    });
  });

  it('takes a selectable policy, with the credential of the settings', async () => {
    const settings: Settings = { selectablePolicies: ['b'], defaultPolicy: 'a', authenticate: 'either' };
    expect(await run({ extensions: { policy: 'b' }, settings, released: ['a', 'b'] })).toEqual({
      events: ['authenticate either', `evaluate b ${ALLOW} ${ANONYMOUS_INPUT}`],
      outcome: 'allow',
    });
  });

  it('takes the default policy, else the only released one', async () => {
    expect((await run({ settings: { defaultPolicy: 'b' }, released: ['a', 'b'] })).events[1]).toContain(
      'evaluate b ',
    );
    expect((await run({ released: ['a'] })).events[1]).toContain('evaluate a ');
  });

  it.each<[string, World]>([
    ['nothing is released', {}],
    ['several are released and none is the default', { released: ['a', 'b'] }],
    ['the default is not released', { settings: { defaultPolicy: 'c' }, released: ['a'] }],
    [
      'the selectable one is not released',
      {
        extensions: { policy: 'c' },
        settings: { selectablePolicies: ['c'], defaultPolicy: 'a' },
        released: ['a'],
      },
    ],
    [
      'the one of the service is not released',
      {
        extensions: { service: 'orders' },
        services: { orders: ORDERS },
        settings: { defaultPolicy: 'a' },
        released: ['a'],
      },
    ],
  ])('cannot decide, and never falls back, when %s', async (_title, world) => {
    const { events, outcome } = await run(world);
    expect(outcome).toBe('policy_not_loaded');
    expect(events.filter((event) => event.startsWith('evaluate'))).toEqual([]);
  });

  it('denies before any policy when a credential is missing, and fails when one is bad', async () => {
    expect(
      await run({ released: ['a'], principal: 'authentication_required', settings: { authenticate: 'jwt' } }),
    ).toEqual({
      events: ['authenticate jwt'],
      outcome: 'authentication_required',
    });
    expect(await run({ released: ['a'], principal: new Failure('credential_invalid', '') })).toEqual({
      events: ['authenticate none'],
      outcome: 'credential_invalid',
    });
  });

  it('shows the policy who asks', async () => {
    const principal: Principal = {
      workload: { spiffe: 'spiffe://mesh/app/a' },
      user: { issuer: 'i', subject: 's', claims: { sub: 's' } },
    };
    expect((await run({ released: ['a'], principal })).events[1]).toBe(
      `evaluate a ${ALLOW} {"identity":{"workload":{"spiffe":"spiffe://mesh/app/a"},"user":{"issuer":"i","subject":"s","claims":{"sub":"s"}}}}`,
    );
  });

  it('says of a denial by a policy which release it was, and of no other', async () => {
    const denied = await run({ released: ['a'], says: false });
    expect(denied).toMatchObject({
      outcome: 'policy_denied',
      decidedBy: { policy: 'a', revision: 'r', seq: 7 },
    });
    const unasked = await run({ released: ['a'], principal: 'authentication_required' });
    expect(unasked).not.toHaveProperty('decidedBy');
  });

  it('makes a policy failure of whatever the evaluator throws', async () => {
    const evaluate = (): never => {
      // oxlint-disable-next-line only-throw-error
      throw 'opa_abort';
    };
    expect((await run({ released: ['a'], evaluate })).outcome).toBe('policy_failed');
  });
});

describe('a service of `grants-and-policy`', () => {
  const LEDGER: ServiceRules = { access: 'grants-and-policy', policy: 'ledger', authenticate: 'jwt' };
  const services = { ledger: LEDGER };
  const released = ['ledger'];
  const extensions = { service: 'ledger', operation: 'read' };
  const principal: Principal = { workload: { spiffe: 'spiffe://mesh/a' } };

  it('asks its policy only for a workload that has a grant for the operation', async () => {
    const { events, outcome } = await run({
      extensions,
      services,
      released,
      principal,
      grants: ['ledger spiffe://mesh/a read'],
    });
    expect([events.length, outcome]).toEqual([3, 'allow']);
    expect(events.slice(0, 2)).toEqual(['authenticate none', 'authenticate jwt']);
  });

  it.each<[string, Partial<World>]>([
    ['another subject', { grants: ['ledger spiffe://mesh/b read'] }],
    ['another operation', { grants: ['ledger spiffe://mesh/a write'] }],
    ['another service', { grants: ['orders spiffe://mesh/a read'] }],
    ['no workload', { principal: {}, grants: ['ledger spiffe://mesh/a read'] }],
    [
      'a proxy that names no operation, with a grant for one only',
      { extensions: { service: 'ledger' }, grants: ['ledger spiffe://mesh/a read'] },
    ],
  ])('refuses without asking for a credential or the policy: %s', async (_, change) => {
    expect(await run({ extensions, services, released, principal, ...change })).toEqual({
      events: ['authenticate none'],
      outcome: 'no_grant',
    });
  });

  it('takes a proxy that names no operation to mean all of them', async () => {
    const world = { extensions: { service: 'ledger' }, services, released, principal };
    expect((await run({ ...world, grants: ['ledger spiffe://mesh/a *'] })).outcome).toBe('allow');
  });
});
