/** A running program that writes its decision log to a file, and what its test asks it. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, startApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { PolicySource } from '../../src/policy/source.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { type CheckClient, createCheckClient } from './check-client.ts';

export interface LoggedApp {
  readonly app: App;
  readonly client: CheckClient;
  /** of a metric with these labels, as they are rendered; 0: there is none */
  valueOf(series: string): Promise<number>;
  stop(): Promise<void>;
  /** in the file, after the stop, which writes everything; as text */
  lines(): Promise<string[]>;
  events(): Promise<JsonObject[]>;
}

export interface LoggedAppOptions {
  /** of the policy `only` */
  readonly rego?: string;
  readonly source?: PolicySource;
  readonly more?: readonly { readonly name: string; readonly source: PolicySource }[];
  /** default: true */
  readonly hasFile?: boolean;
  /** is told what to close, in order */
  readonly defer: (close: () => Promise<unknown>) => void;
}

const RULE =
  'package envoy.authz\n\nallow := {"allowed": input.attributes.request.http.method == "GET", "n": 1.0}\n';

/** @param set  as of `--set` */
export async function startLoggedApp(
  set: readonly string[],
  {
    rego = RULE,
    source = { modules: { 'policy.rego': rego } },
    more = [],
    hasFile = true,
    defer,
  }: LoggedAppOptions,
): Promise<LoggedApp> {
  const folder = await mkdtemp(join(tmpdir(), 'chancery-decisions-'));
  defer(() => rm(folder, { recursive: true }));
  const path = join(folder, 'decisions.jsonl');
  const ports = ['authz', 'control', 'admin', 'ops'].map((listener) => `${listener}.port=0`);
  const file = hasFile ? [`audit.file.path=${path}`] : [];
  const app = await startApp({
    config: loadConfig({ set: [...ports, 'drainSeconds=0', ...file, ...set] }),
    logger: silentLogger,
    policies: [{ name: 'only', source }, ...more],
  });
  const client = createCheckClient(`127.0.0.1:${app.ports.authz}`);
  let running = true;
  const stop = async (): Promise<void> => {
    if (!running) return;
    running = false;
    client.close();
    await app.stop();
  };
  defer(stop);
  const lines = async (): Promise<string[]> => {
    await stop();
    return (await readFile(path, 'utf8')).split('\n').filter(Boolean);
  };
  return {
    app,
    client,
    stop,
    lines,
    events: async () => (await lines()).map((line) => JSON.parse(line) as JsonObject),
    async valueOf(series) {
      const text = await app.world.metrics.render();
      const line = text.split('\n').find((each) => each.startsWith(`${series} `));
      return Number(line?.slice(series.length + 1) ?? 0);
    },
  };
}
