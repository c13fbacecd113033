/** The example policies through the gRPC port: 64 Checks at once are answered as each is alone. */
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sample } from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type App, startApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { readPolicyFolder } from '../../src/policy/folder.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import {
  aCheckRequest,
  type CheckAnswer,
  type CheckClient,
  createCheckClient,
} from '../support/check-client.ts';
import { EXAMPLES, type ExampleInput } from '../support/example-policies.ts';
import { createTestIssuer, type TestIssuer } from '../support/tokens.ts';

const CONCURRENT = 64;
const ROUNDS = 4;
const FOLDER = fileURLToPath(new URL('../../policies/', import.meta.url));
const SEED = Number(process.env['CHANCERY_SEED'] ?? Date.now() % 2_147_483_647);

const cleanUp = new AsyncDisposableStack();
let issuer: TestIssuer;
let client: CheckClient;

beforeAll(async () => {
  issuer = cleanUp.adopt(await createTestIssuer(), (it) => it.close());
  const file = join(tmpdir(), `chancery-examples-${crypto.randomUUID()}.json`);
  cleanUp.defer(() => rm(file));
  const { issuer: name, jwksUri, audience } = issuer;
  const state = {
    settings: { authenticate: 'jwt', selectablePolicies: EXAMPLES.map((each) => each.name) },
    issuers: { test: { issuer: name, jwksUri, audiences: [audience], algorithms: ['RS256'] } },
  };
  await writeFile(file, JSON.stringify({ state }));
  const set = ['authz', 'control', 'admin', 'ops'].map((listener) => `${listener}.port=0`);
  const app: App = await startApp({
    config: loadConfig({ file, set: [...set, 'drainSeconds=0'] }),
    logger: silentLogger,
    policies: EXAMPLES.map((each) => ({ name: each.name, source: readPolicyFolder(FOLDER + each.name) })),
  });
  cleanUp.defer(() => app.stop());
  client = cleanUp.adopt(createCheckClient(`127.0.0.1:${app.ports.authz}`), (it) => it.close());
});
afterAll(() => cleanUp.disposeAsync());

/** Envoy's question about such a request; who is asking shows a token, and a workload cannot be shown here. */
async function toRequest(policy: string, { attributes, identity }: ExampleInput): Promise<object> {
  const { method, path, headers } = attributes.request.http;
  const { subject = '', claims = {} } = identity.user ?? {};
  const token = identity.user && { authorization: `Bearer ${await issuer.sign({ subject, claims })}` };
  const http = { method, path, headers: { ...headers, ...token } };
  return aCheckRequest(http, { context_extensions: { policy } });
}

/** Without the id of the decision, which is another each time. */
function withoutId(answer: CheckAnswer): CheckAnswer {
  const { decision_id: _id, ...fields } = answer.dynamic_metadata?.fields ?? {};
  return { ...answer, dynamic_metadata: { fields } };
}

it(`answers ${CONCURRENT} Checks at once as it answers each alone`, async () => {
  console.log(`seed ${SEED}`);
  const perPolicy = Math.ceil((CONCURRENT * ROUNDS) / EXAMPLES.length);
  const requests = await Promise.all(
    EXAMPLES.flatMap(({ name, input }) =>
      sample(input, { numRuns: perPolicy, seed: SEED }).map((each) => toRequest(name, each)),
    ),
  );
  const mixed = requests.map((_, index) => requests[(index * 7_919) % requests.length]!);
  expect(new Set(mixed).size).toBe(requests.length);

  const alone: CheckAnswer[] = [];
  for (const request of mixed) alone.push(withoutId(await client.check(request)));
  const together: CheckAnswer[] = [];
  for (let start = 0; start < mixed.length; start += CONCURRENT) {
    const batch = mixed.slice(start, start + CONCURRENT);
    together.push(...(await Promise.all(batch.map((request) => client.check(request)))).map(withoutId));
  }
  expect(together, `seed ${SEED}`).toEqual(alone);
  const allowed = alone.filter(({ http_response: kind }) => kind === 'ok_response').length;
  expect([allowed > mixed.length / 10, allowed < mixed.length], `seed ${SEED}`).toEqual([true, true]);
  const status = (answer: CheckAnswer) => answer.denied_response?.status.code;
  expect(alone.filter((answer) => status(answer) === 'InternalServerError')).toEqual([]);
});
