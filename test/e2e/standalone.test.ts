/**
 * The committed `envoy-config/standalone.yaml` on a real Envoy, before `chancery serve` as a process of its own. Only
 * the ports of the file are replaced, and, where a case is about it, the override of the route that its comment shows.
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectForwarded, expectRefused } from '../support/counted.ts';
import { type EnvoyProcess, freePort, startEnvoy } from '../support/envoy-process.ts';
import { eventually } from '../support/eventually.ts';
import { type HttpRequest, sendRequest } from '../support/http-request.ts';
import { type ServeProcess, startServe } from '../support/serve-process.ts';
import { createTestIssuer, type TestIssuer } from '../support/tokens.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const QUICKSTART = fileURLToPath(new URL('../../policies/quickstart', import.meta.url));
const COMMITTED = readFileSync(new URL('../../envoy-config/standalone.yaml', import.meta.url), 'utf8');
const ROUTE = '- match: { prefix: / }';
const PORTS = { listener: 10_000, authz: 9191, upstream: 8080, admin: 9901 };

/** Whom it lets in, it marks: so that an answer says which policy gave it. */
const onlyBelow = (segment: string): string => `package envoy.authz
default allow := false
allow := {"allowed": true, "response_headers_to_add": {"x-policy": "${segment}"}} if input.parsed_path[0] == "${segment}"
`;

describe('an Envoy configured by hand, before chancery serve', () => {
  const cleanUp = new AsyncDisposableStack();
  let folder: string;
  let upstream: Upstream;
  let issuer: TestIssuer;

  beforeAll(async () => {
    folder = cleanUp.adopt(await mkdtemp(join(tmpdir(), 'chancery-standalone-')), (it) =>
      rm(it, { recursive: true, force: true }),
    );
    upstream = cleanUp.adopt(await startUpstream(), (it) => it.close());
    issuer = cleanUp.adopt(await createTestIssuer(), (it) => it.close());
    await writeFile(join(folder, 'red.rego'), onlyBelow('red'));
    await writeFile(join(folder, 'blue.rego'), onlyBelow('blue'));
  });
  afterAll(() => cleanUp.disposeAsync());

  const rego = (name: string): string => join(folder, `${name}.rego`);
  const configFile = async (state: object): Promise<readonly string[]> => {
    const path = join(folder, `${crypto.randomUUID()}.json`);
    await writeFile(path, JSON.stringify({ state }));
    return ['--config', path];
  };

  /** @param routes  one Envoy for each set of context extensions, before the same Chancery */
  async function standalone<Name extends string>(
    args: readonly string[],
    routes: Readonly<Record<Name, Readonly<Record<string, string>>>>,
  ): Promise<Standalone<Name>> {
    await using undo = new AsyncDisposableStack();
    const serve = undo.adopt(await startServe(args), (it) => it.kill());
    const ports = new Map<string, number>();
    for (const [name, extensions] of Object.entries<Readonly<Record<string, string>>>(routes)) {
      const listener = await freePort();
      const config = standaloneConfig(
        { listener, authz: serve.ports.authz, upstream: upstream.port, admin: 0 },
        extensions,
      );
      undo.adopt(await liveEnvoy(config), (it) => it.stop());
      ports.set(name, listener);
    }
    const owned = undo.move();
    return {
      serve,
      send: (route, path, request) => () => sendRequest(ports.get(route) ?? 0, path, request),
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    };
  }

  it('has exactly the ports that are replaced here', () => {
    for (const port of Object.values(PORTS)) {
      expect(COMMITTED.match(new RegExp(`port_value: ${port} `, 'g'))).toHaveLength(1);
    }
    expect(COMMITTED.split(ROUTE)).toHaveLength(2);
    expect(COMMITTED).not.toMatch(/dynamic_resources|ads:/);
  });

  it('allows and denies by method and path alone with `serve policies/quickstart`', async () => {
    await using it = await standalone([QUICKSTART], { plain: {} });
    await expectForwarded(upstream, it.send('plain', '/public/index.html'));
    await expectForwarded(upstream, it.send('plain', '/public', { method: 'HEAD' }));
    await expectRefused(upstream, it.send('plain', '/public/index.html', { method: 'POST' }), 403);
    await expectRefused(upstream, it.send('plain', '/publicity'), 401);
    const denied = await expectRefused(upstream, it.send('plain', '/hello'), 401);
    expect(denied.headers['www-authenticate']).toBe('Bearer');
    expect(denied.body).toBe('Unauthorized: send a bearer token, or ask for something below /public.\n');
    await expectRefused(upstream, it.send('plain', '/secrets', { method: 'DELETE' }), 401);
    await expectRefused(upstream, it.send('plain', '/secrets/../public%2f..'), 400);
    await expectForwarded(upstream, it.send('plain', '/secrets/../public'));
    // what a client says of its own name does not reach the upstream
    const lie = { headers: { 'x-chancery-user': 'root' } };
    await expectForwarded(upstream, it.send('plain', '/public', lie));
    expect(upstream.lastHeaders()['x-chancery-user']).toBeUndefined();
  });

  it('refuses with 503, and forwards nothing, when Chancery is gone', async () => {
    await using it = await standalone([QUICKSTART], { plain: {} });
    await expectForwarded(upstream, it.send('plain', '/public'));
    await it.serve.kill();
    await expectRefused(upstream, it.send('plain', '/public'), 503);
    await expectRefused(upstream, it.send('plain', '/hello'), 503);
  });

  it('answers 503 when two policies are released and none is the default', async () => {
    const settings = { selectablePolicies: ['blue'] };
    await using it = await standalone([rego('red'), rego('blue'), ...(await configFile({ settings }))], {
      plain: {},
      blue: { policy: 'blue' },
    });
    await expectRefused(upstream, it.send('plain', '/red'), 503);
    await expectRefused(upstream, it.send('plain', '/blue'), 503);
    await expectForwarded(upstream, it.send('blue', '/blue'));
  });

  it('lets a route choose from the selectable policies only, and falls back to none of them', async () => {
    const settings = { defaultPolicy: 'red', selectablePolicies: ['blue', 'unknown'] };
    await using it = await standalone([rego('red'), rego('blue'), ...(await configFile({ settings }))], {
      plain: {},
      blue: { policy: 'blue' },
      unknown: { policy: 'unknown' },
      notSelectable: { policy: 'red' },
    });
    const byDefault = await expectForwarded(upstream, it.send('plain', '/red'));
    expect(byDefault.headers['x-policy']).toBe('red');
    await expectRefused(upstream, it.send('plain', '/blue'), 403);

    const chosen = await expectForwarded(upstream, it.send('blue', '/blue'));
    expect(chosen.headers['x-policy']).toBe('blue');
    await expectRefused(upstream, it.send('blue', '/red'), 403);

    await expectRefused(upstream, it.send('unknown', '/red'), 503);
    await expectRefused(upstream, it.send('unknown', '/blue'), 503);
    await expectRefused(upstream, it.send('notSelectable', '/red'), 403);
  });

  it('answers 503 when the default policy is not there', async () => {
    const settings = { defaultPolicy: 'unknown', selectablePolicies: ['red'] };
    await using it = await standalone([rego('red'), ...(await configFile({ settings }))], {
      plain: {},
      red: { policy: 'red' },
    });
    await expectRefused(upstream, it.send('plain', '/red'), 503);
    await expectForwarded(upstream, it.send('red', '/red'));
  });

  it('takes settings, issuers, services and grants from --config, and authenticates by service', async () => {
    const { issuer: name, jwksUri, audience } = issuer;
    const endpoints = [{ address: '127.0.0.1', port: upstream.port }];
    const common = { hosts: ['*'], prefix: '/', policy: 'quickstart', endpoints };
    const state = {
      settings: { defaultPolicy: 'quickstart', authenticate: 'none' },
      issuers: { test: { issuer: name, jwksUri, audiences: [audience], algorithms: ['RS256'] } },
      services: {
        members: { ...common, access: 'policy', authenticate: 'jwt' },
        both: { ...common, access: 'grants-and-policy' },
        'by-grant': { hosts: ['*'], prefix: '/', access: 'grants', endpoints },
      },
      grants: { both: { app: { subject: { spiffe: 'spiffe://mesh/app/a' }, operations: ['*'] } } },
    };
    await using it = await standalone([QUICKSTART, ...(await configFile(state))], {
      plain: {},
      members: { service: 'members' },
      byGrant: { service: 'by-grant' },
      both: { service: 'both', operation: '*' },
      noService: { service: 'nobody-knows' },
      otherPolicy: { service: 'members', policy: 'other' },
    });
    const bearer = (token: string): HttpRequest => ({ headers: { authorization: `Bearer ${token}` } });
    const alice = bearer(await issuer.sign({ subject: 'alice' }));
    const editor = bearer(await issuer.sign({ subject: 'bob', claims: { roles: ['editor'] } }));

    await expectForwarded(upstream, it.send('members', '/hello', alice));
    expect(upstream.lastHeaders()['x-chancery-user']).toBe('alice');
    await expectRefused(upstream, it.send('members', '/articles', { ...alice, method: 'POST' }), 403);
    await expectForwarded(upstream, it.send('members', '/articles', { ...editor, method: 'POST' }));
    await expectRefused(upstream, it.send('members', '/hello'), 401);
    await expectRefused(upstream, it.send('members', '/public'), 401);
    await expectRefused(upstream, it.send('members', '/hello', bearer(await issuer.expired())), 401);
    await expectRefused(upstream, it.send('members', '/hello', bearer(await issuer.wrongKey())), 401);
    const refused = await expectRefused(
      upstream,
      it.send('members', '/hello', bearer(issuer.algNone())),
      401,
    );
    expect(refused.headers['www-authenticate']).toBe('Bearer error="invalid_token"');

    // `authenticate: none`: nobody looks at the token, so it makes nobody a user
    await expectRefused(upstream, it.send('plain', '/hello', alice), 401);
    await expectForwarded(upstream, it.send('plain', '/public', bearer('not-a-token')));

    await expectRefused(upstream, it.send('byGrant', '/public'), 403);
    // this Envoy has no RBAC of ours, and the caller no certificate: the grant is asked for here
    await expectRefused(upstream, it.send('both', '/public'), 403);
    await expectRefused(upstream, it.send('noService', '/public'), 403);
    await expectRefused(upstream, it.send('otherPolicy', '/hello', alice), 403);
  });
});

interface Standalone<Name extends string> extends AsyncDisposable {
  readonly serve: ServeProcess;
  readonly send: (route: Name, path: string, request?: HttpRequest) => () => ReturnType<typeof sendRequest>;
}

/** The text of the committed file with other ports and, when there are any, context extensions on its one route. */
function standaloneConfig(
  ports: Readonly<Record<keyof typeof PORTS, number>>,
  extensions: Readonly<Record<string, string>>,
): string {
  const others = Object.entries(PORTS).reduce(
    (text, [name, port]) =>
      text.replace(`port_value: ${port} `, `port_value: ${ports[name as keyof typeof PORTS]} `),
    COMMITTED,
  );
  if (Object.keys(extensions).length === 0) return others;
  const override = {
    'envoy.filters.http.ext_authz': {
      '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute',
      check_settings: { context_extensions: extensions },
    },
  };
  const indent = ' '.repeat(26);
  return others.replace(ROUTE, `${ROUTE}\n${indent}typed_per_filter_config: ${JSON.stringify(override)}`);
}

async function liveEnvoy(config: string): Promise<EnvoyProcess> {
  const envoy = await startEnvoy(config);
  try {
    await eventually('Envoy is LIVE', async () => (await envoy.state()) === 'LIVE');
    return envoy;
  } catch (error) {
    await envoy.stop();
    throw error;
  }
}
