/** What the options of `authz` add to opa-envoy-plugin's contract, through the gRPC port. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, fromCheckAnswer } from '../conformance/opa-envoy/answer.ts';
import { writeDescriptorSet } from '../conformance/opa-envoy/groups.ts';
import { frame, order } from '../conformance/opa-envoy/orders.ts';
import { aCheckRequest } from '../support/check-client.ts';
import { type CheckPort, startCheckPort } from '../support/check-port.ts';

const ID = '<decision id>';
const POLICY = `package envoy.authz

path := input.attributes.request.http.path

seen := {
  "keys": [key | some key in ["parsed_path", "parsed_query", "parsed_body", "truncated_body"]; _ = input[key]],
  "body": object.get(input, "parsed_body", "none"),
  "error": object.get(input, "parse_error", "none"),
}

allow := {"allowed": true, "dynamic_metadata": seen} if not startswith(path, "/policy/")

allow := {"allowed": false, "headers": {"X-Decision": "of the policy"}} if path == "/policy/denies"

allow := 1 if path == "/policy/fails"
`;

let port: CheckPort;
async function ask(http: object): Promise<Answer> {
  return fromCheckAnswer(await port.client.check(aCheckRequest(http)));
}
const starts = (...set: readonly string[]): void => {
  beforeAll(async () => {
    port = await startCheckPort(POLICY, set);
  }, 60_000);
  afterAll(() => port.close());
};

describe('parseErrors: input', () => {
  starts('authz.parseErrors=input');
  const json = { method: 'POST', headers: { 'content-type': 'application/json' } };

  it('leaves out the query that cannot be parsed, and says so', async () => {
    const { metadata } = await ask({ path: '/a?b=100%' });
    expect(metadata).toMatchObject({
      keys: ['parsed_path', 'parsed_body', 'truncated_body'],
      error: { part: 'query', message: expect.stringMatching(/./) as string },
    });
  });

  it('leaves out the body that cannot be parsed, and quotes nothing of it', async () => {
    const { metadata } = await ask({ ...json, path: '/a', body: '{"password": secret}' });
    expect(metadata).toMatchObject({ body: 'none', error: { part: 'body' } });
    expect(JSON.stringify(metadata)).not.toContain('secret');
  });

  it('leaves out path and body when the path cannot be parsed, and names the path', async () => {
    const { metadata } = await ask({ ...json, path: '/%zz?a=1', body: '{}' });
    expect(metadata).toMatchObject({ keys: ['parsed_query'], body: 'none', error: { part: 'path' } });
  });

  it('has no parse_error where all is parsed', async () => {
    const { metadata } = await ask({ ...json, path: '/a', body: '{"a": 1}' });
    expect(metadata).toMatchObject({ body: { a: 1 }, error: 'none' });
  });

  it('still refuses a request that says nothing certain: a header in both forms', async () => {
    const both = { headers: { 'x-a': '1' }, header_map: { headers: [{ key: 'x-a', value: '2' }] } };
    expect((await ask({ ...both, path: '/a' })).denied?.status).toBe('BadRequest');
  });
});

describe('decisionIdHeader', () => {
  starts('authz.decisionIdHeader=x-decision');
  const header = { name: 'x-decision', value: expect.stringMatching(/^[0-9a-f-]{36}$/) as string };

  it('is in the answer to the client when the policy allows', async () => {
    expect((await ask({ path: '/a' })).ok?.responseHeaders).toEqual([expect.objectContaining(header)]);
  });

  it('takes the place of a header of that name that the policy sends', async () => {
    expect((await ask({ path: '/policy/denies' })).denied?.headers).toEqual([
      expect.objectContaining(header),
    ]);
  });

  it('is in the answer to what nobody decided, and is the id in the metadata', async () => {
    const answer = await port.client.check(aCheckRequest({ path: '/policy/undefined' }));
    const sent = answer.denied_response?.headers?.find(({ header: { key } }) => key === 'x-decision');
    expect(sent?.header.value).toMatch(/^[0-9a-f-]{36}$/);
    expect(answer.dynamic_metadata?.fields['decision_id']?.['stringValue']).toBe(sent?.header.value);
  });
});

describe('maxInflatedBytes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'chancery-inflate-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  starts(`authz.protoDescriptorFile=${writeDescriptorSet(folder)}`, 'authz.maxInflatedBytes=1000');

  const compressed = (message: Buffer, encoding = 'gzip'): object => ({
    method: 'POST',
    path: '/shop.v1.Orders/Create',
    headers: { 'content-type': 'application/grpc', 'grpc-encoding': encoding },
    raw_body: frame(message, { flag: 1 }),
  });

  it('lets a gzip-compressed message be parsed', async () => {
    const { metadata } = await ask(compressed(gzipSync(order({ id: 'o1' }))));
    expect(metadata).toMatchObject({ body: { id: 'o1' } });
  });

  it('leaves a message of another compression unparsed', async () => {
    const { metadata } = await ask(compressed(gzipSync(order({ id: 'o1' })), 'zstd'));
    expect(metadata).toMatchObject({ body: null });
  });

  it('refuses one that inflates to more', async () => {
    const bomb = gzipSync(order({ id: 'x'.repeat(2000) }));
    expect((await ask(compressed(bomb))).denied?.status).toBe('BadRequest');
  });

  it('refuses one that is no gzip', async () => {
    expect((await ask(compressed(order({ id: 'o1' })))).denied?.status).toBe('BadRequest');
  });
});

describe('dryRun', () => {
  starts('authz.dryRun=true');

  it.each([
    ['/policy/denies', { effect: 'deny', reason: 'policy_denied', status: 403 }],
    ['/policy/undefined', { effect: 'deny', reason: 'policy_undefined', status: 403 }],
    ['/policy/fails', { effect: 'failure', reason: 'policy_failed' }],
    ['/%zz', { effect: 'failure', reason: 'request_malformed' }],
  ])('lets %s pass, and says in the metadata what it was', async (path, truth) => {
    const answer = await ask({ path });
    expect(answer).toEqual({ status: 0, ok: {}, metadata: { decision_id: ID, dry_run: truth } });
  });
});
