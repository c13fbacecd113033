import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectForwarded, expectRefused } from '../support/counted.ts';
import { type EnvoyProcess, freePort } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { type HttpAnswer, type HttpRequest, sendRequest } from '../support/http-request.ts';
import { type Stack, startStack } from '../support/stack.ts';

/** One answer per path below `/words`: each shows one thing that a policy can say. */
const WORDS = `package envoy.authz
default allow := false

says := input.parsed_path[1]

allow := true if says == "nothing"

allow := {"allowed": true, "headers": {"x-user": "policy"}} if says == "one"
allow := {"allowed": true, "headers": {"x-tag": ["1", "2", "3"], "x-user": "policy"}} if says == "several"
allow := {"allowed": true, "headers": [{"x-tag": "1"}, {"X-Tag": "2"}]} if says == "list"
allow := {"allowed": true, "request_headers_to_remove": ["x-secret", "authorization", "x-absent"]} if says == "remove"

allow := {"allowed": true, "response_headers_to_add": {
	"set-cookie": ["a=1", "b=2"],
	"x-served-by": "policy",
}} if says == "response"

allow := {
	"allowed": true,
	"query_parameters_to_set": {"set": "new", "added": "yes"},
	"query_parameters_to_remove": ["drop", "absent"],
} if says == "query"

allow := {
	"allowed": false,
	"http_status": 429,
	"body": "{\\"wait\\": \\"a little\\"}",
	"headers": {
		"content-type": "application/json",
		"retry-after": "7",
		"set-cookie": ["a=1", "b=2"],
		"x-why": ["first", "second"],
	},
} if says == "denied"

allow := {"allowed": false, "http_status": 302, "headers": {"location": "https://login.example/"}} if says == "redirect"
allow := {"allowed": false, "http_status": 200, "body": "no, politely"} if says == "denied-200"
allow := {"allowed": false} if says == "denied-plain"

allow := {"allowed": true, "query_parameters_to_set": {"many": ["1", "2"]}} if says == "query-many"
allow := {"allowed": true, "query_parameters_to_set": {"set": sent["x-value"]}} if says == "query-value"

sent := input.attributes.request.http.headers

allow := {"allowed": true, "headers": {":path": "/other"}} if says == "path-header"

# none of these can be sent
allow := {"allowed": true, "headers": {"x-envoy-original-path": "/other"}} if says == "envoy-header"
allow := {"allowed": true, "headers": {":authority": "other.example"}} if says == "authority-header"
allow := {"allowed": true, "headers": {"host": "other.example"}} if says == "host-header"
allow := {"allowed": true, "headers": {"content-length": "3"}} if says == "length-header"
allow := {"allowed": true, "request_headers_to_remove": ["host"]} if says == "remove-host"
allow := {"allowed": true, "response_headers_to_add": {":status": "204"}} if says == "response-status"
allow := {"allowed": true, "response_headers_to_add": {"content-length": "3"}} if says == "response-length"
allow := {"allowed": true, "headers": {"x-user": "a\\r\\nx-admin: yes"}} if says == "line-break"
allow := {"allowed": true, "headers": {"x-user": 7}} if says == "number"
allow := {"allowed": false, "http_status": 418} if says == "teapot"

# what of a body is seen
allow := {"allowed": true, "headers": {
	"x-saw-truncated": sprint_boolean(input.truncated_body),
	"x-saw-body": type_name(input.parsed_body),
}} if says == "seen"
allow if {
	says == "amount"
	input.parsed_body.amount < 100
}

sprint_boolean(true) := "true"
sprint_boolean(false) := "false"
`;

/** `max_request_bytes` of the route: what of a body travels with the question. */
const SENT_BYTES = 8192;

describe('what a policy says about a request', () => {
  let stack: Stack;
  let envoy: EnvoyProcess;
  let port: number;
  let errorsBefore: number;

  beforeAll(async () => {
    stack = await startStack();
    port = await freePort();
    await stack.publishAndRelease('words', WORDS);
    await stack.putService('words', { access: 'policy', policy: 'words' });
    await stack.putNode('edge-1', { services: ['words'], listener: { address: '127.0.0.1', port } });
    envoy = await stack.startNode('edge-1');
    await eventually('the policy answers', async () => (await send('nothing')).status === 200);
    errorsBefore = await envoy.stat('http.chancery.ext_authz.pdp.error');
  });
  afterAll(() => stack?.stop());

  const send = (path: string, request: HttpRequest = {}): Promise<HttpAnswer> =>
    sendRequest(port, `/words/${path}`, request);
  const forwarded = (path: string, request: HttpRequest = {}): Promise<HttpAnswer> =>
    expectForwarded(stack.upstream, () => send(path, request));
  const refused = (path: string, status: number, request: HttpRequest = {}): Promise<HttpAnswer> =>
    expectRefused(stack.upstream, () => send(path, request), status);
  /** in whatever number of lines they came */
  const reached = (name: string): readonly string[] =>
    stack.upstream.lastValues(name).flatMap((value) => value.split(/, ?/));

  describe('headers for the upstream', () => {
    it('a single value replaces what the client sent, however often it did', async () => {
      await forwarded('one');
      expect(reached('x-user')).toEqual(['policy']);
      await forwarded('one', { headers: { 'x-user': 'client', 'x-other': 'kept' } });
      expect(reached('x-user')).toEqual(['policy']);
      expect(reached('x-other')).toEqual(['kept']);
      await forwarded('one', { headers: { 'X-User': ['client', 'another'] } });
      expect(reached('x-user')).toEqual(['policy']);
    });

    it('of several values the first replaces what the client sent, and the others join it', async () => {
      await forwarded('several');
      expect(reached('x-tag')).toEqual(['1', '2', '3']);
      await forwarded('several', { headers: { 'x-tag': ['client', 'another'], 'x-user': 'client' } });
      expect(reached('x-tag')).toEqual(['1', '2', '3']);
      expect(reached('x-user')).toEqual(['policy']);
    });

    it('several values may stand in a list of objects, in any case', async () => {
      await forwarded('list', { headers: { 'x-tag': 'client' } });
      expect(reached('x-tag')).toEqual(['1', '2']);
    });

    it('headers that are to be removed do not arrive', async () => {
      const headers = { 'x-secret': ['1', '2'], authorization: 'Basic YTpi', 'x-kept': 'kept' };
      await forwarded('remove', { headers });
      expect(reached('x-secret')).toEqual([]);
      expect(reached('authorization')).toEqual([]);
      expect(reached('x-kept')).toEqual(['kept']);
      await forwarded('nothing', { headers });
      expect(reached('x-secret')).toEqual(['1', '2']);
      expect(reached('authorization')).toEqual(['Basic YTpi']);
    });
  });

  describe('headers for the client', () => {
    it('several values of one name all arrive, the upstream’s own too; one value replaces it', async () => {
      stack.upstream.answerWith({ 'set-cookie': ['up=0'], 'x-served-by': 'upstream', 'x-own': 'upstream' });
      const answer = await forwarded('response');
      expect(answer.values('set-cookie')).toEqual(['up=0', 'a=1', 'b=2']);
      expect(answer.values('x-served-by')).toEqual(['policy']);
      expect(answer.values('x-own')).toEqual(['upstream']);

      stack.upstream.answerWith({});
      const plain = await forwarded('response');
      expect(plain.values('set-cookie')).toEqual(['a=1', 'b=2']);
      expect(plain.values('x-served-by')).toEqual(['policy']);
    });

    it('they are not shown to the upstream', async () => {
      await forwarded('response');
      expect(reached('x-served-by')).toEqual([]);
      expect(reached('set-cookie')).toEqual([]);
    });
  });

  describe('a denial', () => {
    it('has the status, the body and all the headers of the policy', async () => {
      const answer = await refused('denied', 429);
      expect(JSON.parse(answer.body)).toEqual({ wait: 'a little' });
      expect(answer.values('content-type')).toEqual(['application/json']);
      expect(answer.values('retry-after')).toEqual(['7']);
      expect(answer.values('set-cookie')).toEqual(['a=1', 'b=2']);
      expect(answer.values('x-why').flatMap((value) => value.split(/, ?/))).toEqual(['first', 'second']);
    });

    it('may redirect', async () => {
      const answer = await refused('redirect', 302);
      expect(answer.values('location')).toEqual(['https://login.example/']);
    });

    it('stays a denial under status 200: nothing is forwarded', async () => {
      expect((await refused('denied-200', 200)).body).toBe('no, politely');
    });

    it.each(['denied-plain', 'unknown-word'])('without a status is 403: %s', async (word) => {
      await refused(word, 403);
      await forwarded('nothing');
    });
  });

  describe('query parameters', () => {
    const parameters = () => [...new URLSearchParams(stack.upstream.lastPath().split('?')[1])].sort();

    it('are set and removed, and the others stay', async () => {
      await forwarded('query?keep=a%20b&drop=2&set=old&drop=3&set=older');
      expect(stack.upstream.lastPath()).toMatch(/^\/words\/query\?/);
      expect(parameters()).toEqual([
        ['added', 'yes'],
        ['keep', 'a b'],
        ['set', 'new'],
      ]);
      await forwarded('query');
      expect(parameters()).toEqual([
        ['added', 'yes'],
        ['set', 'new'],
      ]);
    });

    it('are set and removed however the client spells them', async () => {
      await forwarded('query?%64rop=2&dro%70=3&%73et=old&keep=1&s%65t=older&set=oldest');
      expect(parameters()).toEqual([
        ['added', 'yes'],
        ['keep', '1'],
        ['set', 'new'],
      ]);
      await forwarded('nothing?%64rop=2&set=old');
      expect(stack.upstream.lastPath()).toBe('/words/nothing?%64rop=2&set=old');
    });

    it('of several values keep the last: Envoy replaces, it does not repeat', async () => {
      await forwarded('query-many?many=0');
      expect(parameters()).toEqual([['many', '2']]);
    });

    it.each(['a b', 'a%20b', 'a&admin=1', 'a=b', 'a#b', 'a~b', 'ü'])(
      'have values of letters, digits and -._ only: %j is refused and not forwarded',
      async (value) => {
        await refused('query-value', 500, { headers: { 'x-value': Buffer.from(value).toString('latin1') } });
        await forwarded('query-value', { headers: { 'x-value': 'a-b._1' } });
        expect(parameters()).toEqual([['set', 'a-b._1']]);
      },
    );
  });

  it.each([
    ...['envoy-header', 'authority-header', 'host-header', 'length-header', 'remove-host'],
    ...['line-break', 'number', 'response-status', 'response-length', 'teapot'],
  ])('what cannot be sent is refused and not forwarded: %s', async (word) => {
    await refused(word, 500, { method: 'POST', body: '0123456789' });
    await forwarded('nothing');
  });

  it('may give the upstream another path: the route, and with it the service, stays', async () => {
    await forwarded('path-header');
    expect(stack.upstream.lastPath()).toBe('/other');
  });

  describe('a body', () => {
    const json = (body: string, headers: Record<string, string> = {}): HttpRequest => ({
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
    });
    const seen = () => ({
      truncated: reached('x-saw-truncated').join(),
      body: reached('x-saw-body').join(),
    });
    /** JSON text of that many bytes */
    const jsonOf = (bytes: number): string => `{"a":"${'x'.repeat(bytes - 8)}"}`;

    it('of JSON decides, and arrives at the upstream as it was', async () => {
      await forwarded('amount', json('{"amount": 99, "note": "ü"}'));
      expect(stack.upstream.lastBody()).toBe('{"amount": 99, "note": "ü"}');
      await refused('amount', 403, json('{"amount": 100}'));
      await refused('amount', 403, json('{"amount": "99"}'));
    });

    it('that is no JSON though it says so is 400', async () => {
      const answer = await refused('amount', 400, json('{"amount": 99'));
      expect(JSON.parse(answer.body)).toMatchObject({ code: 'request_malformed' });
    });

    it('of another type, and none at all, is null to the policy', async () => {
      await forwarded('seen', { method: 'POST', headers: { 'content-type': 'text/plain' }, body: '{}' });
      expect(seen()).toEqual({ truncated: 'false', body: 'null' });
      expect(stack.upstream.lastBody()).toBe('{}');
      await forwarded('seen');
      expect(seen()).toEqual({ truncated: 'false', body: 'null' });
    });

    it('up to the limit of the route is seen', async () => {
      await forwarded('seen', json(jsonOf(SENT_BYTES - 1)));
      expect(seen()).toEqual({ truncated: 'false', body: 'object' });
    });

    it.each([SENT_BYTES + 1, 100_000])(
      'of %i bytes, beyond the limit, is cut and marked for the policy, and arrives whole at the upstream',
      async (bytes) => {
        const body = jsonOf(bytes);
        await forwarded('seen', json(body));
        expect(seen()).toEqual({ truncated: 'true', body: 'null' });
        expect(stack.upstream.lastBody()).toBe(body);
      },
    );

    it('beyond the limit is refused by a policy that has to read it', async () => {
      const spaces = ' '.repeat(SENT_BYTES);
      await refused('amount', 403, json(`{"amount": 1${spaces}}`));
      await refused('amount', 403, json(`{"amount": 1}${spaces}`));
      await forwarded('amount', json('{"amount": 1}'));
    });

    it('is not hidden from the policy by a header that says that it was cut', async () => {
      await forwarded('seen', json('{"a": 1}', { 'x-envoy-auth-partial-body': 'true' }));
      expect(seen()).toEqual({ truncated: 'false', body: 'object' });
    });

    it('that comes in chunks is seen too', async () => {
      const headers = { 'transfer-encoding': 'chunked' };
      await forwarded('amount', json('{"amount": 5}', headers));
      await refused('amount', 403, json('{"amount": 500}', headers));
      await refused('amount', 403, json(`{"amount": 1${' '.repeat(SENT_BYTES)}}`, headers));
    });
  });

  it('is said in calls that all end OK, whatever the policy says', async () => {
    expect(await envoy.stat('http.chancery.ext_authz.pdp.ok')).toBeGreaterThan(0);
    expect(await envoy.stat('http.chancery.ext_authz.pdp.error')).toBe(errorsBefore);
  });
});
