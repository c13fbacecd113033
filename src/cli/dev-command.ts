import { existsSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type App, startApp } from '../app.ts';
import { type AdminClient, createClient } from '../client/client.ts';
import { acquireAll } from '../core/resources.ts';
import { type DevStack, startDev } from '../dev/dev.ts';
import { DEV_PORTS, expectFreePorts } from '../dev/ports.ts';
import { ensureToken } from '../dev/token.ts';
import { readPolicyFolder } from '../policy/folder.ts';
import { createLogger } from '../telemetry/logger.ts';
import { type DevState, openDevState } from './dev-state.ts';
import { say } from './output.ts';
import { untilSignalled } from './signals.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const STATE_FOLDER = join(ROOT, '.chancery', 'dev');
const POLICY_FOLDER = join(ROOT, 'policies', 'quickstart');
const ENVOY = join(ROOT, '.tools', 'envoy-1.40.0', 'envoy');
const ENVOY_MISSING = join(ROOT, '.tools', 'envoy-unavailable');

const LOCALHOST = '127.0.0.1';
const DAY_MS = 86_400_000;

/** Runs until Ctrl-C. */
export async function devCommand(): Promise<number> {
  const stop = untilSignalled();
  const logger = createLogger('warn');
  const state = await openDevState(STATE_FOLDER, logger);
  const { config } = state;
  await expectFreePorts({
    'ext_authz gRPC': config.authz.port,
    'ADS gRPC': config.control.port,
    'admin REST': config.admin.port,
    'metrics and probes': config.ops.port,
    'the development issuer': DEV_PORTS.issuer,
    'the sample upstream': DEV_PORTS.upstream,
    ...(existsSync(ENVOY)
      ? { Envoy: DEV_PORTS.envoy, "Envoy's own administration": DEV_PORTS.envoyAdmin }
      : {}),
  });

  say('Chancery is starting …');
  const { release } = await acquireAll(async (stack) => {
    const app = stack.adopt(await startApp({ config, logger }), (it) => it.stop());
    const client = await openClient(app, state);
    const options = {
      client,
      stateFolder: STATE_FOLDER,
      policyFolder: POLICY_FOLDER,
      readPolicy: () => readPolicyFolder(POLICY_FOLDER),
      envoy: existsSync(ENVOY) ? { path: ENVOY } : { missing: whyNoEnvoy() },
      say,
    };
    const dev = stack.adopt(await startDev(options), (it) => it.stop());
    await greet(app, dev, state.tokenFile);
  });
  await stop;
  say('\nStopping …');
  await release();
  return 0;
}

function whyNoEnvoy(): string {
  return existsSync(ENVOY_MISSING) ? readFileSync(ENVOY_MISSING, 'utf8') : '`npm start` fetches it';
}

/** A client with a token that is kept over starts, and renewed while this runs. */
async function openClient(app: App, state: DevState): Promise<() => AdminClient> {
  const baseUrl = `http://${LOCALHOST}:${app.ports.admin}`;
  const renew = async (): Promise<void> => {
    const oneTimeToken = async (): Promise<string> => state.takeOneTimeToken() ?? app.issueOneTimeToken();
    const token = await ensureToken({ baseUrl, kept: state.readToken(), oneTimeToken });
    if (token !== state.readToken()) state.writeToken(token);
  };
  await renew();
  setInterval(() => void renew().catch(() => {}), DAY_MS).unref();
  return () => createClient({ baseUrl, token: state.readToken() });
}

/** What a newcomer can do next. `# expect` is the status that curl prints. */
async function greet(app: App, { issuer, envoy }: DevStack, tokenFile: string): Promise<void> {
  const { authz, control, admin, ops } = app.ports;
  say(`
  admin REST     http://${LOCALHOST}:${admin}/openapi.json   (token: ${relative(process.cwd(), tokenFile)})
  probes         http://${LOCALHOST}:${ops}/readyz   http://${LOCALHOST}:${ops}/metrics
  ext_authz      ${LOCALHOST}:${authz} (gRPC)
  ADS            ${LOCALHOST}:${control} (gRPC)`);
  if (envoy !== undefined) {
    const url = `http://${LOCALHOST}:${DEV_PORTS.envoy}`;
    say(`  Envoy          ${url}   (its administration: http://${LOCALHOST}:${DEV_PORTS.envoyAdmin})

Try it: the sample upstream is behind Envoy, and the policy is asked about each request.
`);
    const reader = await issuer.issue('alice', { roles: ['reader'] });
    const curl = "curl -s -o /dev/null -w '%{http_code}\\n'";
    say(`  ${curl} -H 'authorization: Bearer ${reader}' ${url}/hello   # expect 200`);
    say(`  ${curl} -X POST -H 'authorization: Bearer ${reader}' ${url}/hello   # expect 403`);
  }
  say(`
Next: edit policies/quickstart/policy.rego and send the same requests again; the README has a ten-minute tour.
Press Ctrl-C to stop.`);
}
