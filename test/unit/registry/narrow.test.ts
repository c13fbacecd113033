import { describe, expect, it } from 'vitest';
import type { Grant, Service, Settings } from '../../../src/registry/model.ts';
import { narrowGrant, narrowNode, narrowService, narrowSettings } from '../../../src/registry/narrow.ts';

const aGrant = (...operations: string[]): Grant => ({ subject: { spiffe: 'spiffe://mesh/a' }, operations });
const read = { id: 'read', method: 'GET', path: '/o' };
const write = { id: 'write', method: 'PUT', path: '/o' };
const aService = (change: Partial<Service> = {}): Service => ({
  hosts: ['a.test', 'b.test'],
  prefix: '/',
  access: 'policy',
  endpoints: [{ address: '127.0.0.1', port: 1 }],
  ...change,
});

describe('what is left of an object that was changed in a part of the journal that is lost', () => {
  it.each<{ what: string; adopted: Grant; lost: Grant; left: Grant | undefined }>([
    { what: 'fewer operations', adopted: aGrant('a', 'b'), lost: aGrant('b', 'c'), left: aGrant('b') },
    { what: 'all of them before', adopted: aGrant('*'), lost: aGrant('b'), left: aGrant('b') },
    { what: 'all of them after', adopted: aGrant('b'), lost: aGrant('*'), left: aGrant('b') },
    { what: 'all of them in both', adopted: aGrant('*'), lost: aGrant('*'), left: aGrant('*') },
    { what: 'others', adopted: aGrant('a'), lost: aGrant('b'), left: undefined },
    {
      what: 'another subject',
      adopted: aGrant('a'),
      lost: { ...aGrant('a'), subject: { spiffe: 'spiffe://mesh/b' } },
      left: undefined,
    },
  ])('of a grant with $what', ({ adopted, lost, left }) => {
    expect(narrowGrant(adopted, lost)).toEqual(left);
  });

  it.each<{
    what: string;
    adopted: Partial<Service>;
    lost: Partial<Service>;
    left: Partial<Service> | undefined;
  }>([
    { what: 'fewer hosts', adopted: {}, lost: { hosts: ['b.test', 'c.test'] }, left: { hosts: ['b.test'] } },
    { what: 'other hosts', adopted: {}, lost: { hosts: ['c.test'] }, left: undefined },
    { what: 'another prefix', adopted: {}, lost: { prefix: '/b' }, left: undefined },
    {
      what: 'another access',
      adopted: { access: 'grants' },
      lost: { access: 'policy' },
      left: { access: 'grants-and-policy' },
    },
    {
      what: 'operations where there were none',
      adopted: {},
      lost: { operations: [read] },
      left: { operations: [read] },
    },
    {
      what: 'no operations any more',
      adopted: { operations: [read] },
      lost: {},
      left: { operations: [read] },
    },
    {
      what: 'fewer operations',
      adopted: { operations: [read, write] },
      lost: { operations: [{ ...read, method: 'POST' }, write] },
      left: { operations: [write] },
    },
    {
      what: 'other operations',
      adopted: { operations: [read] },
      lost: { operations: [write] },
      left: undefined,
    },
    {
      what: 'another policy',
      adopted: { policy: 'one', entrypoint: 'a/b' },
      lost: { policy: 'two' },
      left: { policy: 'two' },
    },
    {
      what: 'a stricter way to authenticate',
      adopted: { authenticate: 'either' },
      lost: { authenticate: 'jwt' },
      left: { authenticate: 'jwt' },
    },
    {
      what: 'a laxer way to authenticate',
      adopted: { authenticate: 'mtls' },
      lost: {},
      left: { authenticate: 'mtls' },
    },
    {
      what: 'other endpoints',
      adopted: {},
      lost: { endpoints: [] },
      left: {},
    },
  ])('of a service with $what', ({ adopted, lost, left }) => {
    const { entrypoint: _entrypoint, ...rest } = aService(adopted);
    expect(narrowService(aService(adopted), aService(lost))).toEqual(left && { ...rest, ...left });
  });

  it('of a node with other services', () => {
    const listener = { address: '127.0.0.1', port: 1 };
    expect(
      narrowNode(
        { services: ['a', 'b'], listener },
        { services: ['b', 'c'], listener: { ...listener, port: 2 } },
      ),
    ).toEqual({ services: ['b'], listener });
  });

  it.each<{ what: string; adopted: Settings; lost: Settings; left: Settings }>([
    {
      what: 'the same',
      adopted: { defaultPolicy: 'a' },
      lost: { defaultPolicy: 'a' },
      left: { defaultPolicy: 'a' },
    },
    {
      what: 'another default policy, which may be lost as well: then nothing runs',
      adopted: { defaultPolicy: 'a' },
      lost: { defaultPolicy: 'b' },
      left: { defaultPolicy: 'b' },
    },
    { what: 'no default policy', adopted: { defaultPolicy: 'a' }, lost: {}, left: {} },
    {
      what: 'fewer policies to select',
      adopted: { selectablePolicies: ['a', 'b'] },
      lost: { selectablePolicies: ['b', 'c'] },
      left: { selectablePolicies: ['b'] },
    },
    {
      what: 'none to select',
      adopted: { selectablePolicies: ['a'] },
      lost: {},
      left: { selectablePolicies: [] },
    },
    { what: 'more to select', adopted: {}, lost: { selectablePolicies: ['a'] }, left: {} },
    {
      what: 'a stricter way to authenticate',
      adopted: {},
      lost: { authenticate: 'mtls' },
      left: { authenticate: 'mtls' },
    },
  ])('of settings with $what', ({ adopted, lost, left }) => {
    expect(narrowSettings(adopted, lost)).toEqual(left);
  });
});
