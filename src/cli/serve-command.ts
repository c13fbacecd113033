import { basename, extname, resolve } from 'node:path';
import { startApp } from '../app.ts';
import type { Config } from '../config/schema.ts';
import { Failure } from '../core/failure.ts';
import { readPolicyFolder } from '../policy/folder.ts';
import { createLogger } from '../telemetry/logger.ts';
import { exitWhenSignalledAgain, untilSignalled } from './signals.ts';

/** @param paths  Rego files or folders, each a policy that is named after it */
export async function serveCommand(config: Config, paths: readonly string[]): Promise<number> {
  if (config.store !== undefined && paths.length > 0) {
    throw new Failure(
      'request_malformed',
      'with a store, policies are published over REST, not on the command line',
    );
  }
  const logger = createLogger(config.log.level);
  const policies = paths.map((path) => ({ name: policyName(path), source: readPolicyFolder(path) }));
  const stop = untilSignalled();
  const app = await startApp({ config, logger, policies });
  logger.info({ signal: await stop }, 'stopping');
  exitWhenSignalledAgain();
  await app.stop();
  return 0;
}

function policyName(path: string): string {
  return basename(resolve(path), extname(path)).toLowerCase();
}
