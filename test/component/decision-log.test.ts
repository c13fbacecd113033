import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import { aCheckRequest } from '../support/check-client.ts';
import { type CheckPort, startCheckPort } from '../support/check-port.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(rego: string, set: readonly string[] = []) {
  const folder = await mkdtemp(join(tmpdir(), 'chancery-decisions-'));
  closers.push(() => rm(folder, { recursive: true }));
  const path = join(folder, 'decisions.jsonl');
  const port: CheckPort = await startCheckPort(rego, [`audit.file.path=${path}`, ...set]);
  let open = true;
  const close = async (): Promise<void> => {
    if (open) await port.close();
    open = false;
  };
  closers.push(close);
  return {
    ...port,
    /** after the stop, which writes everything */
    async events(): Promise<JsonObject[]> {
      await close();
      const text = await readFile(path, 'utf8');
      return text
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as JsonObject);
    },
  };
}

const RULE =
  'package envoy.authz\n\nallow := {"allowed": input.attributes.request.http.method == "GET", "n": 1.0}\n';

describe('the decision log of a running program', () => {
  it('has one event in the form of OPA for an allowed Check and for a denied one', async () => {
    const { client, events } = await start(RULE);
    const id = (answer: Awaited<ReturnType<typeof client.check>>) =>
      answer.dynamic_metadata?.fields['decision_id']?.['stringValue'];
    const first = id(
      await client.check(
        aCheckRequest({ path: '/a?x=1', headers: { authorization: 'Bearer secret-secret' } }),
      ),
    );
    const second = id(await client.check(aCheckRequest({ method: 'POST' })));
    const [allowed, denied] = await events();
    expect(allowed).toMatchObject({ decision_id: first, path: 'envoy/authz/allow' });
    expect(denied).toMatchObject({ decision_id: second });
  });
});
