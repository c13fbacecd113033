import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../src/core/digest.ts';
import { Failure } from '../../../src/core/failure.ts';
import { decodeSource, encodeSource } from '../../../src/policy/source.ts';

const MODULES = { 'policy.rego': 'package envoy.authz\n' };

function failureOf(value: unknown): Failure {
  try {
    encodeSource(value);
  } catch (thrown) {
    if (thrown instanceof Failure) return thrown;
  }
  throw new Error('nothing was refused');
}

describe('the source of a policy', () => {
  it('is the same revision whatever the order of its members and whatever is left to its default', () => {
    const short = encodeSource({ modules: MODULES });
    const long = encodeSource({ smoke: [], entrypoints: ['envoy/authz/allow'], data: {}, modules: MODULES });
    expect(long.revision).toBe(short.revision);
    expect(short.revision).toBe(sha256(short.bytes));
    expect(decodeSource(short.bytes)).toEqual({
      modules: MODULES,
      data: {},
      entrypoints: ['envoy/authz/allow'],
      smoke: [],
    });
  });

  it('is another revision when one character differs', () => {
    const one = encodeSource({ modules: MODULES }).revision;
    expect(encodeSource({ modules: { 'policy.rego': 'package envoy.authz\n\n' } }).revision).not.toBe(one);
    expect(encodeSource({ modules: MODULES, data: { a: 1 } }).revision).not.toBe(one);
  });

  it('keeps a smoke case that expects undefined', () => {
    const { bytes } = encodeSource({
      modules: MODULES,
      smoke: [{ input: {} }, { input: null, result: false }],
    });
    expect(decodeSource(bytes).smoke).toEqual([{ input: {} }, { input: null, result: false }]);
  });

  it.each([
    ['a member that nobody knows', { modules: MODULES, module: {} }, '/module'],
    ['no module', { modules: {} }, '/modules'],
    ['a module that is no Rego file', { modules: { 'a.txt': '' } }, '/modules'],
    ['a module outside the folder', { modules: { '../a.rego': '' } }, '/modules'],
    ['data that is no object', { modules: MODULES, data: [] }, '/data'],
    ['an empty entrypoint', { modules: MODULES, entrypoints: [''] }, '/entrypoints/0'],
    ['no entrypoint', { modules: MODULES, entrypoints: [] }, '/entrypoints'],
  ])('is refused for %s, with a pointer', (_what, value, pointer) => {
    const failure = failureOf(value);
    expect(failure.code).toBe('policy_rejected');
    expect(failure.issues.some((issue) => issue.pointer?.startsWith(pointer))).toBe(true);
  });

  it('is refused for a lone surrogate, which has no canonical form', () => {
    const failure = failureOf({ modules: MODULES, data: { a: '\ud800' } });
    expect(failure.code).toBe('policy_rejected');
  });
});
