/** Policies that ask the network, through the real Check port and with a real server at the other end. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type App, startApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import {
  aCheckRequest,
  type CheckAnswer,
  type CheckClient,
  createCheckClient,
} from '../support/check-client.ts';
import { httpSendTo, json, type PolicyHost, startPolicyHost } from '../support/policy-host.ts';

const MAX_RESPONSE_BYTES = 65_536;
const MAX_REQUESTS = 4;
const SHORT_MS = 1_500;

let host: PolicyHost;
let other: PolicyHost;
let app: App;
let client: CheckClient;

/** `U` stands for the host, `V` for another one that is not allowed. */
const rule = (body: string): string =>
  `package envoy.authz\n\nimport data.u as U\nimport data.v as V\n\npath := input.attributes.request.http.path\n\n` +
  `allow if { ${body} }\n`;
const get = (path: string, more = ''): string =>
  `http.send({"method": "get", "url": concat("", [U, ${path}])${more}})`;

const POLICIES: Readonly<Record<string, string>> = {
  normal: rule('path == "/"'),
  asks: rule(`${get('path')}.body.allow == true`),
  // OPA's own code is needed: evaluated in a thread
  thread: rule(`sprintf("%v", [${get('path')}.body.allow]) == "true"`),
  negated: rule(`not ${get('path')}.body.deny`),
  'two-sends': rule(`${get('"/first"')}.body.next == path; ${get('path')}.body.allow`),
  'same-twice': rule(`a := ${get('path')}; b := ${get('path')}; a == b; a.body.allow`),
  many: rule(
    `count([x | some i in numbers.range(1, 9); x := ${get('concat("", ["/n?", json.marshal(i)])')}]) == 9`,
  ),
  elsewhere: rule('http.send({"method": "get", "url": concat("", [V, "/"])}).status_code == 200'),
  redirected: rule(`${get('path', ', "enable_redirect": true')}.body.allow`),
  'error-shape': rule(
    'r := http.send({"method": "get", "url": concat("", [V, "/"]), "raise_error": false}); r.status_code == 0; ' +
      'r.error.code == "eval_http_send_internal_error"',
  ),
  constant: rule(
    `before := [time.now_ns(), uuid.rfc4122("k"), rand.intn("r", 1000000000)]; ` +
      `r := http.send({"method": "post", "url": concat("", [U, "/echo"]), "body": before}); ` +
      `r.body == before; before == [time.now_ns(), uuid.rfc4122("k"), rand.intn("r", 1000000000)]`,
  ),
  cached: rule(`${get('path', ', "force_cache": true, "force_cache_duration_seconds": 300')}.body.allow`),
  yaml: rule(`${get('path')}.body == {"a": [1, 2.50, "yes"]}`),
  binary: rule(`${get('path')}.status_code == 200`),
  lookup: rule('net.lookup_ip_addr("127.0.0.1") == {"127.0.0.1"}; not net.lookup_ip_addr("example.org")'),
};

beforeAll(async () => {
  other = await startPolicyHost((_, response) => json(response, { allow: true }));
  host = await startPolicyHost(({ url, body }, response) => {
    if (url === '/first') json(response, { next: '/allow' });
    else if (url.startsWith('/n?')) json(response, {});
    else if (url === '/echo') json(response, JSON.parse(body));
    else if (url === '/away') response.writeHead(302, { location: `http://${other.host}/` }).end();
    else if (url === '/moved') response.writeHead(302, { location: '/allow' }).end();
    else if (url === '/circle') response.writeHead(302, { location: '/circle' }).end();
    else if (url === '/large') json(response, { allow: true, x: 'x'.repeat(MAX_RESPONSE_BYTES) });
    else if (url === '/yaml')
      response.writeHead(200, { 'content-type': 'application/yaml' }).end('a: [1, 2.50, yes]');
    else if (url === '/binary') response.writeHead(200).end(Buffer.of(0xff, 0xfe));
    else if (url === '/never') return;
    else json(response, { allow: url.startsWith('/allow') });
  });
  const listeners = ['authz', 'control', 'admin', 'ops'].map((listener) => `${listener}.port=0`);
  const config = loadConfig({ set: [...listeners, 'drainSeconds=0', 'policy.threads=1'] });
  const settings = { defaultPolicy: 'normal', selectablePolicies: Object.keys(POLICIES) };
  const httpSend = httpSendTo([host.host], {
    timeoutMs: 30_000,
    maxResponseBytes: MAX_RESPONSE_BYTES,
    maxRedirects: 3,
    maxRequests: MAX_REQUESTS,
  });
  app = await startApp({
    config: { ...config, policy: { ...config.policy, httpSend }, state: { settings } },
    logger: silentLogger,
    policies: Object.entries(POLICIES).map(([name, rego]) => ({
      name,
      source: {
        modules: { 'policy.rego': rego },
        data: { u: `http://${host.host}`, v: `http://${other.host}` },
      },
    })),
  });
  client = createCheckClient(`127.0.0.1:${app.ports.authz}`);
}, 120_000);
afterAll(async () => {
  client?.close();
  await app?.stop();
  await Promise.all([host?.close(), other?.close()]);
});

const check = (policy: string, path: string, timeoutMs = 20_000): Promise<CheckAnswer> =>
  client.check(aCheckRequest({ path }, { context_extensions: { policy } }), { timeoutMs });
const isAllowed = ({ status }: CheckAnswer): boolean => (status?.code ?? 0) === 0;
/** `allow`, or why not */
async function outcome(policy: string, path: string, timeoutMs?: number): Promise<string> {
  const answer = await check(policy, path, timeoutMs);
  if (isAllowed(answer)) return 'allow';
  return (JSON.parse(answer.denied_response?.body ?? '{}') as { code: string }).code;
}

describe.each(['asks', 'thread'])('a policy that asks the network (%s)', (policy) => {
  it('allows and denies by the answer', async () => {
    expect(await outcome(policy, `/allow?${policy}`)).toBe('allow');
    expect(await outcome(policy, `/deny?${policy}`)).toBe('policy_undefined');
  });

  it('answers a hundred Checks at once, each its own', async () => {
    const paths = Array.from(
      { length: 100 },
      (_, index) => `/${index % 3 === 0 ? 'deny' : 'allow'}?${policy}=${index}`,
    );
    const outcomes = await Promise.all(paths.map((path) => outcome(policy, path)));
    expect(outcomes).toEqual(paths.map((path) => (path.startsWith('/allow') ? 'allow' : 'policy_undefined')));
    expect(paths.map((path) => host.countOf(path))).toEqual(paths.map(() => 1));
  });

  it('is denied at its deadline when nobody answers, while other Checks go on', async () => {
    const late = outcome(policy, '/never', SHORT_MS);
    const beside = await Promise.all(Array.from({ length: 20 }, () => outcome('normal', '/')));
    expect(beside).toEqual(beside.map(() => 'allow'));
    expect(await late).toBe('deadline_exceeded');
    expect(await outcome(policy, '/allow/after')).toBe('allow');
  });
});

describe('an evaluation that is begun again', () => {
  it('asks one after the other', async () => {
    expect(await outcome('two-sends', '/allow')).toBe('allow');
    expect(host.countOf('/first')).toBe(1);
    expect(host.countOf('/allow')).toBe(1);
  });

  it('sends the same request once', async () => {
    expect(await outcome('same-twice', '/allow/twice')).toBe('allow');
    expect(host.countOf('/allow/twice')).toBe(1);
  });

  it('has the time, the UUIDs and the random numbers that it began with', async () => {
    expect(await outcome('constant', '/')).toBe('allow');
    expect(host.countOf('/echo')).toBe(1);
  });

  it('is denied when it asks too often', async () => {
    expect(await outcome('many', '/')).toBe('policy_failed');
    expect(host.requests.filter(({ url }) => url.startsWith('/n?'))).toHaveLength(MAX_REQUESTS);
  });
});

describe('what a policy may ask', () => {
  it('is a host of the list and no other one, which is an error of the built-in', async () => {
    expect(await outcome('elsewhere', '/')).toBe('policy_undefined');
    expect(await outcome('error-shape', '/')).toBe('allow');
    expect(other.requests).toEqual([]);
  });

  it('is followed to such a host only', async () => {
    expect(await outcome('redirected', '/moved')).toBe('allow');
    expect(await outcome('redirected', '/away')).toBe('policy_undefined');
    expect(await outcome('redirected', '/circle')).toBe('policy_undefined');
    expect(other.requests).toEqual([]);
  });

  it('may not be larger than allowed: the evaluation ends, so that no `not` can turn it into an allow', async () => {
    expect(await outcome('negated', '/allow')).toBe('allow');
    expect(await outcome('negated', '/large')).toBe('policy_failed');
    expect(await outcome('binary', '/binary')).toBe('policy_failed');
  });

  it('is asked once for all evaluations where it may be kept', async () => {
    expect(await outcome('cached', '/allow/kept')).toBe('allow');
    expect(await outcome('cached', '/allow/kept')).toBe('allow');
    expect(host.countOf('/allow/kept')).toBe(1);
  });

  it('may be YAML, which OPA reads', async () => {
    expect(await outcome('yaml', '/yaml')).toBe('allow');
  });

  it('may be the address of a name', async () => {
    expect(await outcome('lookup', '/')).toBe('allow');
  });
});
