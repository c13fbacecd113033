/**
 * `chancery dev`, after the application has started: the sample upstream, the development-only issuer, the first
 * entries of the journal over REST, a real Envoy, and the watcher that releases a policy whenever its files change.
 */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ApiError } from '../client/api-error.ts';
import type { AdminClient } from '../client/client.ts';
import type { components } from '../client/schema.d.ts';
import { acquireAll } from '../core/resources.ts';
import { type DevEnvoy, startDevEnvoy } from './envoy.ts';
import { type DevIssuer, startDevIssuer } from './issuer.ts';
import type { Where } from './listen.ts';
import { DEV_PORTS } from './ports.ts';
import { startSampleUpstream } from './upstream.ts';
import { watchFolder } from './watch.ts';
import { DEV_POLICY, putDevWorld, readBootstrap, releasePolicy } from './world.ts';

export interface DevOptions {
  /** with the token that is good now */
  readonly client: () => AdminClient;
  /** git-ignored folder for state */
  readonly stateFolder: string;
  readonly policyFolder: string;
  readonly readPolicy: () => components['schemas']['PolicySource'];
  /** the binary, or why there is none */
  readonly envoy: { readonly path: string } | { readonly missing: string };
  readonly say: (line?: string) => void;
}

export interface DevStack {
  readonly issuer: DevIssuer;
  /** undefined: there is no Envoy on this machine */
  readonly envoy: DevEnvoy | undefined;
  stop(): Promise<void>;
}

const HOST = '127.0.0.1';

export async function startDev(options: DevOptions): Promise<DevStack> {
  const acquired = await acquireAll((stack) => start(options, stack));
  return { ...acquired.value, stop: acquired.release };
}

async function start(options: DevOptions, stack: AsyncDisposableStack): Promise<Omit<DevStack, 'stop'>> {
  const client = options.client();
  const at = (port: number): Where => ({ address: HOST, port });
  const upstream = stack.adopt(await startSampleUpstream(at(DEV_PORTS.upstream)), (it) => it.close());
  const issuer = stack.adopt(await startDevIssuer(at(DEV_PORTS.issuer)), (it) => it.close());

  await release(options);
  await putDevWorld(client, issuer, Number(new URL(upstream.url).port));

  const envoy = await maybeStartEnvoy(options);
  if (envoy !== undefined) stack.defer(() => envoy.stop());

  const watching = new AbortController();
  stack.defer(async () => watching.abort());
  watchFolder(options.policyFolder, () => releaseAgain(options), watching.signal);
  return { issuer, envoy };
}

async function maybeStartEnvoy({
  envoy,
  client,
  stateFolder,
  say,
}: DevOptions): Promise<DevEnvoy | undefined> {
  if ('missing' in envoy) {
    say(`Envoy is not started: ${envoy.missing}; everything else runs.`);
    return undefined;
  }
  const bootstrapFile = join(stateFolder, 'envoy.json');
  await rm(bootstrapFile, { force: true });
  await writeFile(bootstrapFile, await readBootstrap(client()));
  return startDevEnvoy({ path: envoy.path, bootstrapFile, say });
}

async function release({ client, readPolicy, say }: DevOptions): Promise<void> {
  const { revision, changed } = await releasePolicy(client(), readPolicy());
  if (changed) say(`policy ${DEV_POLICY} is live: ${revision.slice(0, 19)}…`);
}

async function releaseAgain(options: DevOptions): Promise<void> {
  const { say } = options;
  try {
    await release(options);
  } catch (error) {
    say(`policy ${DEV_POLICY} was refused; what runs keeps running:`);
    for (const line of explain(error)) say(`  ${line}`);
  }
}

function explain(error: unknown): readonly string[] {
  if (!(error instanceof ApiError)) return [String(error)];
  if (error.errors.length === 0) return [error.detail];
  return error.errors.map(({ file, line, column, pointer, message }) => {
    const place =
      file === undefined ? pointer : [file, line, column].filter((part) => part !== undefined).join(':');
    return place === undefined ? message : `${place}: ${message}`;
  });
}
