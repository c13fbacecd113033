import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** One project per suite of architecture §9; each can be run alone with `--project <name>`. */
const suite = (name: string, timeoutMs: number, parallel: boolean, exclude: readonly string[] = []) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    exclude: [...exclude],
    testTimeout: timeoutMs,
    hookTimeout: timeoutMs,
    fileParallelism: parallel,
  },
});

const root = new URL('..', import.meta.url);

/** Without a tool there is nothing to run: said on a laptop, an error of the test in CI. */
function canRun(what: string, tool: string, path: string): boolean {
  if (process.env['CI'] !== undefined || existsSync(new URL(`.tools/${path}`, root))) return true;
  const why = new URL(`.tools/${tool}-unavailable`, root);
  const reason = existsSync(why) ? readFileSync(why, 'utf8') : '`npm test` fetches it';
  process.stderr.write(`skipped: ${what}, since there is no ${tool} (${reason})\n`);
  return false;
}

/** The Go that go.mod asks for builds OPA's own evaluator for this machine: to compare with, not to run. */
function canBuildGo(what: readonly string[]): boolean {
  if (process.env['CI'] !== undefined) return true;
  const cwd = new URL('src/rego/toolchain', root);
  const { status } = spawnSync('go', ['list', '-m'], { cwd, env: { ...process.env, GOTOOLCHAIN: 'local' } });
  if (status === 0) return true;
  process.stderr.write(
    `skipped: ${what.join(' and ')}, since there is no Go that can build src/rego/toolchain\n`,
  );
  return false;
}

const AGAINST_OPA = [
  'test/conformance/opa-compliance.test.ts',
  'test/conformance/builtins-differential.test.ts',
];
const withGo = canBuildGo(AGAINST_OPA);
const API_FUZZ = 'test/conformance/api-schemathesis.test.ts';
const withSchemathesis = canRun(API_FUZZ, 'schemathesis', 'schemathesis-4.32.5');
const withEnvoy = canRun('the suite e2e', 'envoy', 'envoy-1.40.0/envoy');

export default defineConfig({
  test: {
    root: root.pathname,
    // vitest leaves one core to itself, and is idle while the tests run
    maxWorkers: Math.max(2, Math.min(4, availableParallelism())),
    projects: [
      suite('unit', 10_000, true),
      suite('contract', 30_000, true),
      suite('component', 60_000, true),
      suite('conformance', 60_000, true, [
        ...(withSchemathesis ? [] : [API_FUZZ]),
        ...(withGo ? [] : AGAINST_OPA),
      ]),
      suite('integration', 120_000, true),
      ...(withEnvoy ? [suite('e2e', 120_000, false)] : []),
    ],
  },
});
