import { type App, startApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { type CheckClient, createCheckClient } from './check-client.ts';

/** The whole application in this process with one policy, and a client at its Check port. */
export interface CheckPort {
  readonly client: CheckClient;
  /** on 127.0.0.1 */
  readonly port: number;
  close(): Promise<void>;
}

/**
 * @param rego  one module, or several by name
 * @param set  as `--set`: `authz.maxMessageBytes=…`
 */
export async function startCheckPort(
  rego: string | Readonly<Record<string, string>>,
  set: readonly string[] = [],
): Promise<CheckPort> {
  const listeners = ['authz', 'control', 'admin', 'ops'].map((listener) => `${listener}.port=0`);
  const app: App = await startApp({
    config: loadConfig({ set: [...listeners, 'drainSeconds=0', ...set] }),
    logger: silentLogger,
    policies: [
      { name: 'only', source: { modules: typeof rego === 'string' ? { 'policy.rego': rego } : rego } },
    ],
  });
  const port = app.ports.authz ?? 0;
  const client = createCheckClient(`127.0.0.1:${port}`);
  return {
    client,
    port,
    async close() {
      client.close();
      await app.stop();
    },
  };
}
