/** OPA's own implementation of built-ins, asked one call at a time. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type Instance, startInstance } from '../../src/rego/instance.ts';
import type { Answer, BuiltinRequest, BuiltinResult } from '../../src/rego/messages.ts';

const NOW_NS = '1234567890123456789';
let instance: Instance;
beforeAll(() => {
  instance = startInstance(new URL('../../src/rego/toolchain.wasm.br', import.meta.url), 512);
});

function ask(request: BuiltinRequest): Answer {
  return JSON.parse(instance.call(JSON.stringify({ do: 'builtin', ...request }))) as Answer;
}

function call(name: string, ...args: readonly string[]): BuiltinResult {
  return ask({ name, args, nowNs: NOW_NS }).result as BuiltinResult;
}

describe('a call of a built-in', () => {
  it.each([
    ['union', ['{{1, 2}, set(), {{1: 2}}}'], '{1,2,{1:2}}'],
    ['net.cidr_expand', ['"10.0.0.0/30"'], '{"10.0.0.0","10.0.0.1","10.0.0.2","10.0.0.3"}'],
    ['intersection', ['{{1}, {2}}'], 'set()'],
    [
      'json.unmarshal',
      [String.raw`"[12345678901234567890, {\"a\": 1.10}]"`],
      '[12345678901234567890,{"a":1.10}]',
    ],
    ['lower', [String.raw`"\u0000Aé😀\n\"\\\u2028"`], '"\\u0000aé😀\\u000a\\"\\\\\u2028"'],
    ['walk', ['[1, {"a": 2}]'], '[[[],[1,{"a":2}]],[[0],1],[[1],{"a":2}],[[1,"a"],2]]'],
    ['abs', ['-1'], '1'],
    ['type_name', ['{1: 2}'], '"object"'],
    ['type_name', ['set()'], '"set"'],
    ['is_null', ['null'], 'true'],
    ['startswith', ['"a"', '"b"'], 'false'],
    ['time.now_ns', [], NOW_NS],
    ['opa.runtime', [], '{}'],
    ['trace', ['"x"'], 'true'],
  ])('%s of %j is %s', (name, args, text) => {
    expect(call(name, ...args)).toEqual({ text });
  });

  it('that meets an error is undefined, and says why', () => {
    const { text, error } = call('units.parse', '"x"');
    expect([text, error?.code, error?.message]).toEqual([
      undefined,
      'eval_builtin_error',
      expect.stringContaining('units.parse: no amount provided'),
    ]);
    expect(call('abs', '"x"').error).toMatchObject({ code: 'eval_type_error' });
  });

  it('gives the same for the same random bytes', () => {
    const seed = Buffer.alloc(64, 7).toString('base64');
    const [one, two] = [1, 2].map(() => ask({ name: 'uuid.rfc4122', args: ['"x"'], nowNs: NOW_NS, seed }));
    expect(one).toEqual(two);
    expect(call('uuid.rfc4122', '"x"')).not.toEqual(call('uuid.rfc4122', '"x"'));
  });

  it('of what is no built-in, or with what is no value, is an error of the caller', () => {
    expect(ask({ name: 'no.such', args: [], nowNs: NOW_NS }).error).toBe('unknown built-in no.such');
    expect(ask({ name: 'abs', args: ['{'], nowNs: NOW_NS }).error).toEqual(expect.any(String));
  });

  it('has no network', () => {
    const result = call('http.send', '{"method": "get", "url": "http://127.0.0.1:1/"}');
    expect(result.text).toBeUndefined();
    expect(result.halt ?? result.error).toMatchObject({ message: expect.stringContaining('http.send') });
  });
});
