/**
 * Each policy of `policies/` on our evaluator and on OPA's, asked the same. `CHANCERY_EXAMPLE_INPUTS` says how many
 * inputs (`npm run test:deep`), `CHANCERY_SEED` repeats a run that has failed.
 */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { sample } from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { toCanonicalJson } from '../../src/core/canonical-json.ts';
import type { Json } from '../../src/core/json.ts';
import { createBuiltins } from '../../src/policy/all-builtins.ts';
import { ALL_BUILTINS, HOST_BUILTINS } from '../../src/policy/builtins.ts';
import type { Evaluator } from '../../src/policy/evaluator.ts';
import { readPolicyFolder } from '../../src/policy/folder.ts';
import { publishPolicy } from '../../src/policy/publish.ts';
import type { RegoSource } from '../../src/rego/messages.ts';
import { createToolchain } from '../../src/rego/toolchain.ts';
import { EXAMPLES, type Example, type Result } from '../support/example-policies.ts';
import { anEvaluator, meteredModule } from '../support/metered-evaluator.ts';

const FOLDER = fileURLToPath(new URL('../../policies/', import.meta.url));
const COUNT = Number(process.env['CHANCERY_EXAMPLE_INPUTS'] ?? 2_000);
const SEED = Number(process.env['CHANCERY_SEED'] ?? Date.now() % 2_147_483_647);
/** For so many inputs each rule is compared, and for all of them what Envoy asks. */
const EACH_RULE = 200;
const BATCH = 500;
const TIMEOUT_MS = 60_000 + COUNT * 60;
const ALLOW = 'envoy/authz/allow';

const BUILTINS = createBuiltins({ maxToolchainMiB: 256 });
const toolchain = createToolchain({ callTimeoutMs: 120_000, maxQueued: 16, maxMemoryMiB: 1_024 });
afterAll(() => toolchain.close());

function sourceOf({ name }: Example): RegoSource {
  const { modules, data = {} } = readPolicyFolder(FOLDER + name);
  return { modules, data, builtins: ALL_BUILTINS, host: HOST_BUILTINS };
}

/** Every rule of the policy but functions, which have no value of their own. */
async function rulesOf(source: RegoSource): Promise<readonly string[]> {
  const { virtual } = await toolchain.deps({ ...source, query: 'data.envoy.authz.allow' });
  const names = virtual.map(({ text }) => text.split('.').slice(1).join('/'));
  const functions = new Set(
    Object.values(source.modules)
      .join('\n')
      .matchAll(/^(\w+)\(/gm)
      .map(([, name]) => `envoy/authz/${name}`),
  );
  return names.filter((name) => !functions.has(name));
}

/** @returns `undefined`, or the value as canonical JSON; of a set the members in an order that does not depend on who says it */
function ours(evaluator: Evaluator, rule: string, input: string): string {
  const evaluation = evaluator.evaluate(rule, Buffer.from(input));
  return evaluation.defined ? toText(evaluation.value) : 'undefined';
}

async function theirs(source: RegoSource, rule: string, inputs: readonly string[]): Promise<string[]> {
  const texts: string[] = [];
  for (let start = 0; start < inputs.length; start += BATCH) {
    const batch = inputs.slice(start, start + BATCH);
    const outcomes = await toolchain.evaluate({ ...source, entrypoint: rule, inputs: batch });
    for (const { text, error } of outcomes) {
      if (error !== undefined) texts.push(`error: ${error.message}`);
      else texts.push(text === undefined ? 'undefined' : toText(JSON.parse(text) as Json));
    }
  }
  return texts;
}

function toText(value: Json): string {
  return toCanonicalJson(Array.isArray(value) ? value.map(toCanonicalJson).sort() : value);
}

/** Defined and true for one, not so for another; a rule that is always defined says different things at least. */
function takesBothValues(answers: readonly string[]): boolean {
  const isTrue = (text: string): boolean => !['undefined', 'false', '[]', '{}'].includes(text);
  const isAlwaysTrue = answers.every(isTrue);
  return answers.some(isTrue) && (isAlwaysTrue ? new Set(answers).size > 1 : true);
}

describe('the example policies', () => {
  it('are all here', () => {
    const folders = readdirSync(FOLDER, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(folders.map(({ name }) => name).sort()).toEqual(EXAMPLES.map(({ name }) => name).sort());
  });

  for (const example of EXAMPLES) {
    const { name, input, kinds, constants = [] } = example;

    it(
      `${name} passes every gate of a publication`,
      async () => {
        const { body } = await publishPolicy(name, readPolicyFolder(FOLDER + name), { toolchain });
        expect(body.tests).toBeGreaterThan(5);
        expect(body.smokeUnits?.length).toBeGreaterThan(3);
      },
      TIMEOUT_MS,
    );

    it(
      `${name} answers as OPA does, and every rule is both true and false`,
      async () => {
        console.log(`${name}: ${COUNT} inputs of seed ${SEED}`);
        const source = sourceOf(example);
        const rules = await rulesOf(source);
        expect(rules).toContain(ALLOW);
        const { wasm } = await toolchain.compile({ ...source, entrypoints: rules });
        const evaluator = anEvaluator(meteredModule(wasm), {
          data: Buffer.from(JSON.stringify(source.data)),
          builtins: BUILTINS,
        });
        const values = sample(input, { numRuns: COUNT, seed: SEED });
        const inputs = values.map((each) => JSON.stringify(each));

        for (const rule of rules) {
          const answers = inputs.map((each) => ours(evaluator, rule, each));
          const compared = rule === ALLOW ? COUNT : Math.min(EACH_RULE, COUNT);
          const expected = await theirs(source, rule, inputs.slice(0, compared));
          const different = expected.flatMap((text, index) =>
            text === answers[index] ? [] : [{ input: inputs[index], opa: text, ours: answers[index] }],
          );
          expect(different.slice(0, 3), `${rule}, seed ${SEED}`).toEqual([]);
          if (rule === ALLOW || constants.includes(rule.split('/')[2] ?? '')) continue;
          expect([rule, takesBothValues(answers)], `seed ${SEED}`).toEqual([rule, true]);
        }

        const results = inputs.map((each) => JSON.parse(ours(evaluator, ALLOW, each)) as Result);
        const allowed = results.filter((result) => result.allowed).length;
        expect(allowed / COUNT, `seed ${SEED}`).toBeGreaterThanOrEqual(0.2);
        for (const [kind, holds] of Object.entries(kinds)) {
          const held = results.filter((result, index) => holds(values[index]!, result)).length;
          expect([kind, held > 0 && held < COUNT], `seed ${SEED}`).toEqual([kind, true]);
        }
      },
      TIMEOUT_MS,
    );
  }
});
