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

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    projects: [
      suite('unit', 10_000, true),
      suite('contract', 30_000, true),
      suite('component', 60_000, true),
      suite('conformance', 60_000, true),
      suite('integration', 120_000, false),
      suite('e2e', 120_000, false),
    ],
  },
});
