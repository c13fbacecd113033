/** Metered policies against the same ones as OPA's compiler made them, on a host that is not ours. */
import { fileURLToPath } from 'node:url';
import { loadPolicy } from '@open-policy-agent/opa-wasm';
import { array, assert, constantFrom, jsonValue, property, record } from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toCanonicalJson } from '../../src/core/canonical-json.ts';
import type { Json } from '../../src/core/json.ts';
import { ALL_BUILTINS } from '../../src/policy/builtins.ts';
import { readPolicyFolder } from '../../src/policy/folder.ts';
import { createToolchain } from '../../src/rego/toolchain.ts';
import { anEvaluator, meteredModule } from '../support/metered-evaluator.ts';
import { METERED_POLICIES } from '../support/metered-policies.ts';

const ENTRYPOINT = 'envoy/authz/allow';
const DATA = { roles: { editor: ['write'], reader: [] } };
const toolchain = createToolchain({ callTimeoutMs: 60_000, maxQueued: 16, maxMemoryMiB: 512 });
afterAll(() => toolchain.close());

async function compile(rego: string): Promise<Uint8Array> {
  const { wasm } = await toolchain.compile({
    modules: { 'p.rego': rego.startsWith('#') ? rego : `package envoy.authz\n\n${rego}\n` },
    // none is asked of the host: what the module answers by itself, the other host can compare
    builtins: ALL_BUILTINS,
    entrypoints: [ENTRYPOINT],
  });
  return wasm;
}

/** Both hosts of one policy: the canonical JSON that each says, or `undefined`. */
async function bothHosts(wasm: Uint8Array) {
  const evaluator = anEvaluator(meteredModule(wasm), { data: Buffer.from(JSON.stringify(DATA)) });
  const plain = await loadPolicy(Uint8Array.from(wasm).buffer, { initial: 64, maximum: 1024 });
  plain.setData(DATA);
  return {
    evaluator,
    metered(input: object): string {
      const evaluation = evaluator.evaluate(ENTRYPOINT, Buffer.from(JSON.stringify(input)));
      return evaluation.defined ? toCanonicalJson(evaluation.value) : 'undefined';
    },
    plain(input: object): string {
      const [first] = plain.evaluate(input, ENTRYPOINT) as readonly { readonly result: Json }[];
      return first === undefined ? 'undefined' : toCanonicalJson(first.result);
    },
  };
}

describe('a metered policy', () => {
  it.each(METERED_POLICIES)('says what it said before, at the same cost each time: $name', async (policy) => {
    const wasm = await compile(policy.rego);
    const hosts = await bothHosts(wasm);
    const other = anEvaluator(meteredModule(wasm), {
      data: Buffer.from(JSON.stringify({ ...DATA, more: 'x'.repeat(100_000) })),
      maxMemoryMiB: 16,
    });
    const costs = policy.inputs.map((input) => {
      expect({ input, says: hosts.metered(input) }).toEqual({ input, says: hosts.plain(input) });
      return hosts.evaluator.lastCost();
    });
    // in another order, in another instance, with another memory and other data beside
    const again = policy.inputs.toReversed().map((input) => {
      other.evaluate(ENTRYPOINT, Buffer.from(JSON.stringify(input)));
      return other.lastCost();
    });
    expect(again.toReversed()).toEqual(costs);
    for (const { outcome, units } of costs) {
      expect(outcome).toBe('answered');
      expect(units).toBeGreaterThan(0);
      expect(units).toBeLessThan(5_000_000);
    }
  });

  describe('of any requests', () => {
    let hosts: Awaited<ReturnType<typeof bothHosts>>;
    beforeAll(async () => {
      const folder = fileURLToPath(new URL('../../policies/quickstart', import.meta.url));
      hosts = await bothHosts(await compile(readPolicyFolder(folder).modules['policy.rego'] ?? ''));
    });

    it('says what it said before', () => {
      const request = record({
        attributes: record({
          request: record({ http: record({ method: constantFrom('GET', 'POST', 'PUT') }) }),
        }),
        parsed_path: array(constantFrom('public', 'hello', 'articles', ''), { minLength: 1, maxLength: 3 }),
        identity: constantFrom(
          {},
          { user: { subject: 'a', claims: { roles: ['editor'] } } },
          { user: { subject: 'b', claims: {} } },
        ),
        other: jsonValue(),
      });
      const seen = new Set<string>();
      assert(
        property(request, (input) => {
          const answer = hosts.metered(input);
          expect(answer).toBe(hosts.plain(input));
          seen.add(answer);
        }),
        { numRuns: 500, seed: 5, endOnFailure: true },
      );
      expect(seen.size).toBeGreaterThan(3);
    });
  });
});
