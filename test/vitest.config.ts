import { existsSync, readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

/** One project per suite of architecture §9; each can be run alone with `--project <name>`. */
const suite = (name: string, timeoutMs: number, parallel: boolean) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: timeoutMs,
    hookTimeout: timeoutMs,
    fileParallelism: parallel,
  },
});

const root = new URL('..', import.meta.url);

/** Without an Envoy there is nothing to test end to end: said on a laptop, an error in CI. */
function endToEnd(): readonly ReturnType<typeof suite>[] {
  const required = process.env['CI'] !== undefined;
  if (required || existsSync(new URL('.tools/envoy-1.40.0/envoy', root)))
    return [suite('e2e', 120_000, false)];
  const why = new URL('.tools/envoy-unavailable', root);
  const reason = existsSync(why) ? readFileSync(why, 'utf8') : '`npm test` fetches it';
  process.stderr.write(`skipped: the suite e2e, since there is no Envoy (${reason})\n`);
  return [];
}

export default defineConfig({
  test: {
    root: root.pathname,
    projects: [
      suite('unit', 10_000, true),
      suite('contract', 30_000, true),
      suite('component', 60_000, true),
      suite('conformance', 60_000, true),
      suite('integration', 120_000, false),
      ...endToEnd(),
    ],
  },
});
