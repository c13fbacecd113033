/** Policies that ask the network before they run: their gates, and the evaluator that is begun again. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Failure } from '../../src/core/failure.ts';
import type { NetworkAnswer } from '../../src/outbound/network-call.ts';
import { createBuiltins, knownBuiltins } from '../../src/policy/all-builtins.ts';
import { ALL_BUILTINS, HOST_BUILTINS } from '../../src/policy/builtins.ts';
import { type Evaluator, isSuspended, type Suspended } from '../../src/policy/evaluator.ts';
import { publishPolicy } from '../../src/policy/publish.ts';
import { remember } from '../../src/policy/remembered.ts';
import { createToolchain } from '../../src/rego/toolchain.ts';
import { anEvaluator, meteredModule } from '../support/metered-evaluator.ts';

const toolchain = createToolchain({ callTimeoutMs: 60_000, maxQueued: 16, maxMemoryMiB: 512 });
afterAll(() => toolchain.close());

const ASKING = `package envoy.authz

default allow := false

allow if http.send({"method": "get", "url": "http://host.test/"}).body.ok

unreached if {
	response := http.send({"method": "get", "url": "http://host.test/", "raise_error": false})
	response.status_code == 0
	response.error.code == "eval_http_send_network_error"
}
`;
const MOCKED = `package envoy.authz_test

import data.envoy.authz

test_allowed if authz.allow with http.send as {"body": {"ok": true}}

test_denied if not authz.allow with http.send as answer

answer(request) := {"body": {"ok": request.url == "http://elsewhere.test/"}}
`;
const SOURCE = {
  modules: { 'a.rego': ASKING, 'a_test.rego': MOCKED },
  entrypoints: ['envoy/authz/allow', 'envoy/authz/unreached'],
  smoke: [
    { input: {}, result: false },
    { input: {}, entrypoint: 'envoy/authz/unreached', result: true },
  ],
};

describe('a policy that asks the network', () => {
  it('is refused with its place where the configuration does not allow it', async () => {
    const thrown = await publishPolicy('p', SOURCE, { toolchain }).catch(
      (error: unknown) => error as Failure,
    );
    expect(thrown).toMatchObject({ code: 'policy_rejected' });
    expect((thrown as Failure).issues).toContainEqual(
      expect.objectContaining({ file: 'a.rego', line: 5, message: expect.stringContaining('http.send') }),
    );
  });

  it('passes its tests with other answers in place of the network, and reaches nobody when it is published', async () => {
    const { body } = await publishPolicy('p', SOURCE, { toolchain, httpSend: {} });
    expect(body.tests).toBe(2);
    expect(body.builtins).toContain('http.send');
  });

  it('does not start where the network is not for policies', async () => {
    const { artefact } = await publishPolicy('p', SOURCE, { toolchain, httpSend: {} });
    const module = new WebAssembly.Module(Buffer.from(artefact));
    expect(() => anEvaluator(module, { builtins: knownBuiltins() })).toThrow(/http\.send/);
  });
});

const CHAIN = `package p

first := http.send({"method": "get", "url": "http://host.test/1"})

r := {"now": now, "second": second} if {
	now := time.now_ns()
	count([1 | some i in numbers.range(1, 20000); i < 0]) == 0
	second := http.send({"method": "get", "url": concat("", ["http://host.test/", json.marshal(first)])})
	now == time.now_ns()
}
`;

describe('an evaluation that waits for the network', () => {
  let module: WebAssembly.Module;
  beforeAll(async () => {
    const compiled = await toolchain.compile({
      modules: { 'p.rego': CHAIN },
      builtins: ALL_BUILTINS,
      host: HOST_BUILTINS,
      entrypoints: ['p/r'],
    });
    module = meteredModule(compiled.wasm);
  });

  const input = Buffer.from('{}');
  const answered = (suspended: Suspended, text: string | undefined): Suspended => {
    remember(suspended.memory.answered, suspended.call, { text });
    return suspended;
  };
  function suspendedBy(evaluator: Evaluator, from?: Suspended): Suspended {
    const outcome = evaluator.attempt('p/r', input, from);
    if (!isSuspended(outcome)) throw new Error('it has ended');
    return outcome;
  }
  const ticking = () => {
    let nowMs = 1_700_000_000_000;
    return { clock: { nowMs: () => nowMs++ }, random: (size: number) => new Uint8Array(size) };
  };

  it('says whom it asks, and goes on with the answer at the time at which it began', () => {
    const evaluator = anEvaluator(module, { builtins: knownBuiltins(() => undefined), given: ticking() });
    const first = suspendedBy(evaluator);
    expect(first.call).toEqual({ name: 'http.send', args: [expect.stringContaining('host.test/1')] });
    // another one in between
    suspendedBy(evaluator);
    const second = suspendedBy(evaluator, answered(first, '7'));
    expect(second.call.args[0]).toContain('host.test/7');
    expect(evaluator.attempt('p/r', input, answered(second, '"done"'))).toMatchObject({
      defined: true,
      text: '{"now":1700000000000000000,"second":"done"}',
    });
  });

  it('goes on in another thread: what it remembers can be sent there', () => {
    const evaluator = anEvaluator(module, { builtins: createBuiltins({ maxToolchainMiB: 256 }) });
    const first = structuredClone(suspendedBy(evaluator));
    const second = structuredClone(suspendedBy(evaluator, answered(first, '7')));
    expect(evaluator.attempt('p/r', input, answered(second, undefined))).toEqual({ defined: false });
  });

  it('costs what all its attempts cost, and ends when that is more than one may', () => {
    const evaluator = anEvaluator(module, { builtins: knownBuiltins(() => undefined) });
    const first = suspendedBy(evaluator);
    expect(evaluator.lastCost()).toMatchObject({ outcome: 'suspended', units: first.units });
    const second = suspendedBy(evaluator, answered(first, '7'));
    expect(second.units).toBeGreaterThan(first.units);
    evaluator.attempt('p/r', input, answered(second, '1'));
    const { units } = evaluator.lastCost();
    const small = anEvaluator(module, {
      builtins: knownBuiltins(() => undefined),
      maxUnits: Math.floor(units * 0.9),
    });
    const again = suspendedBy(small, answered(suspendedBy(small), '7'));
    expect(() => small.attempt('p/r', input, answered(again, '1'))).toThrow(/units/);
    expect(small.lastCost().outcome).toBe('over_budget');
  });

  it('is no failure, however often: the instance is as before, and nothing is refused', () => {
    let nowMs = 0;
    const now = (): number => (nowMs += 100);
    const evaluator = anEvaluator(module, { builtins: knownBuiltins(() => undefined), now });
    const units = new Set(Array.from({ length: 500 }, () => suspendedBy(evaluator).units));
    expect(units.size).toBe(1);
  });

  it('does not wait for what is known already', () => {
    const asked: string[] = [];
    const peek = ({ args: [text = ''] }: { readonly args: readonly string[] }): NetworkAnswer => {
      asked.push(text);
      return { text: '8' };
    };
    const evaluator = anEvaluator(module, { builtins: knownBuiltins(peek) });
    expect(evaluator.evaluate('p/r', input)).toMatchObject({ value: { second: 8 } });
    expect(asked).toHaveLength(2);
  });
});
