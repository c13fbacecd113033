import { X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { isLoopback } from '../../../src/core/loopback.ts';
import { createEnrolments } from '../../../src/identity/enrolment-state.ts';
import { createIssuedCertificates } from '../../../src/identity/issued-certificates.ts';
import { certificateClaims, peerClaims } from '../../../src/identity/peer.ts';
import { createAuthority, type LeafOptions, type TestAuthority } from '../../support/certificates.ts';
import { recordLog } from '../../support/log-lines.ts';

describe('a peer', () => {
  it.each([
    '127.0.0.1:4711',
    '127.8.9.1:1',
    '::1:4711',
    '[::1]:4711',
    '::ffff:127.0.0.1:4711',
    'unix:/run/x.sock',
  ])('%s of this machine is enrolled', (peer) => {
    const claims = peerClaims(peer);
    expect([claims.enrolled, claims.mayClaimNode('edge')]).toEqual([true, true]);
  });

  it.each([
    '10.0.0.1:4711',
    '::2:4711',
    '::ffff:10.0.0.1:1',
    'unknown',
    '',
    'localhost:1',
    '127.0.0.1.example.test:1',
    '128.0.0.1:1',
  ])('%j may claim nothing', (peer) => {
    const claims = peerClaims(peer);
    expect([claims.enrolled, claims.mayClaimNode('edge')]).toEqual([false, false]);
  });
});

describe('a peer with a certificate', () => {
  const EDGE = 'spiffe://example.test/node/edge';
  let authority: TestAuthority;
  beforeAll(async () => {
    authority = await createAuthority();
  });

  async function claimsOf(options: LeafOptions, { registered = ['edge'], nowMs = Date.now() } = {}) {
    const { logger, lines } = recordLog();
    const claims = certificateClaims({
      trustDomain: 'example.test',
      issued: createIssuedCertificates(createEnrolments().view),
      servicesOf: (id) => (registered.includes(id) ? ['orders'] : undefined),
      clock: { nowMs: () => nowMs },
      logger,
    });
    const der = new X509Certificate((await authority.issue(options)).certificate).raw;
    return { claims: claims('127.0.0.1:4711', der), lines };
  }

  it('asks for the services of its node and for no other, and the log says so once', async () => {
    const { claims, lines } = await claimsOf({ uris: [EDGE] });
    expect(
      ['orders', 'orders2', 'ORDERS', '', 'ledger', 'ledger'].map((name) => claims.mayAskFor(name)),
    ).toEqual([true, false, false, false, false, false]);
    expect(lines.at(0)).toMatchObject({ level: 'warn', node: 'edge', service: 'orders2' });
    expect(lines).toHaveLength(1);
  });

  it('asks for no service when its node is not registered, or when it names none', async () => {
    expect((await claimsOf({ uris: [EDGE] }, { registered: [] })).claims.mayAskFor('orders')).toBe(false);
    expect((await claimsOf({ uris: ['spiffe://example.test/app/a'] })).claims.mayAskFor('orders')).toBe(
      false,
    );
  });

  it('is the node that its certificate names, and no other, and the log says which', async () => {
    const { claims, lines } = await claimsOf({ uris: [EDGE] });
    expect(claims.enrolled).toBe(true);
    expect(['edge', 'edge2', 'EDGE', ''].map((id) => claims.mayClaimNode(id))).toEqual([
      true,
      false,
      false,
      false,
    ]);
    expect(lines[0]).toMatchObject({ peer: '127.0.0.1:4711', claimed: 'edge2', certificate: 'edge' });
  });

  it.each<[string, LeafOptions]>([
    ['no names', {}],
    ['the name as DNS', { dnsNames: ['edge'] }],
    ['two names', { uris: [EDGE, 'spiffe://example.test/node/other'] }],
    ['a name below a node', { uris: [`${EDGE}/app`] }],
    ['an app', { uris: ['spiffe://example.test/app/edge'] }],
    ['another trust domain', { uris: ['spiffe://example.org/node/edge'] }],
    ['another trust domain that ends alike', { uris: ['spiffe://an.example.test/node/edge'] }],
  ])('with %s may claim nothing, although it is on this machine', async (_what, options) => {
    const { claims, lines } = await claimsOf(options);
    expect([claims.enrolled, claims.mayClaimNode('edge')]).toEqual([false, false]);
    expect(lines[0]?.message).toMatch(/names no node/);
  });

  it('may claim nothing once its certificate has expired on an open connection', async () => {
    const { claims, lines } = await claimsOf({ uris: [EDGE] }, { nowMs: Date.now() + 25 * 3_600_000 });
    expect([claims.enrolled, claims.mayClaimNode('edge')]).toEqual([false, false]);
    expect(lines[0]).toMatchObject({
      level: 'warn',
      node: 'edge',
      message: expect.stringMatching(/has expired/),
    });
  });

  it('is not enrolled any more when its node is not registered any more', async () => {
    const { claims, lines } = await claimsOf({ uris: [EDGE] }, { registered: [] });
    expect(claims.enrolled).toBe(false);
    expect(lines).toMatchObject([
      { level: 'warn', node: 'edge', message: expect.stringMatching(/no registered node/) },
    ]);
  });

  it.each([
    ['an operator', ['spiffe://example.test/operator/ann'], 0, true],
    ['an operator of another trust domain', ['spiffe://other.test/operator/ann'], 0, false],
    ['an operator that has expired', ['spiffe://example.test/operator/ann'], 25, false],
    ['a node', [EDGE], 0, false],
    ['something below an operator', ['spiffe://example.test/operator/ann/x'], 0, false],
    ['an operator and a node', ['spiffe://example.test/operator/ann', EDGE], 0, false],
  ])('of %s decides who may inspect the nodes', async (_, uris, hoursLater, may) => {
    const { claims } = await claimsOf({ uris }, { nowMs: Date.now() + hoursLater * 3_600_000 });
    expect([claims.mayInspect(), claims.enrolled && may]).toEqual([may, false]);
  });

  it('may claim nothing without one', () => {
    const { logger } = recordLog();
    const claims = certificateClaims({
      issued: createIssuedCertificates(createEnrolments().view),
      servicesOf: () => [],
      clock: { nowMs: () => 0 },
      logger,
    });
    expect(claims('127.0.0.1:4711').enrolled).toBe(false);
    expect(claims('unix:/run/x.sock').mayClaimNode('edge')).toBe(false);
    expect(claims('127.0.0.1:4711').mayAskFor('orders')).toBe(false);
    expect(claims('127.0.0.1:4711').mayInspect()).toBe(false);
  });
});

describe('isLoopback', () => {
  it('knows addresses, not names', () => {
    expect(['127.0.0.1', '127.255.255.254', '::1', '0:0:0:0:0:0:0:1'].map(isLoopback)).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(['0.0.0.0', '::', '10.0.0.1', 'localhost', '127.1', ''].map(isLoopback)).toEqual([
      false,
      false,
      false,
      false,
      false,
      false,
    ]);
  });
});
