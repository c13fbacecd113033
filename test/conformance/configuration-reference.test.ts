import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';

const SCRIPT = fileURLToPath(new URL('../../.scripts/generate-reference.mjs', import.meta.url));
const README = fileURLToPath(new URL('../../README.md', import.meta.url));

/** @returns exit code and what it wrote to standard error */
const runScript = (
  ...args: readonly string[]
): Promise<{ readonly code: unknown; readonly stderr: string }> =>
  new Promise((resolve) => {
    execFile(process.execPath, [SCRIPT, ...args], { timeout: 50_000 }, (error, _stdout, stderr) =>
      resolve({ code: error === null ? 0 : error.code, stderr }),
    );
  });

const keysOf = (schema: object, path: readonly string[] = []): readonly string[] =>
  'properties' in schema
    ? Object.entries(schema.properties as Record<string, object>).flatMap(([name, below]) =>
        keysOf(below, [...path, name]),
      )
    : [path.join('.')];

describe('the reference of the configuration in the README', () => {
  it('is what the schemas say', async () => {
    expect(await runScript('--check')).toEqual({ code: 0, stderr: '' });
  });

  it('has one row for every setting', async () => {
    const readme = await readFile(README, 'utf8');
    const keys = keysOf(configSchema);
    expect(keys.length).toBeGreaterThan(40);
    expect(keys).toContain('admin.rateLimit.failedPerMinute');
    const rowsOf = (key: string): number => readme.split(`\n| \`${key}\` |`).length - 1;
    expect(keys.filter((key) => rowsOf(key) !== 1)).toEqual([]);
  });

  it('is refused when it has drifted, and written anew when that is asked for', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'chancery-reference-'));
    const copy = join(folder, 'copy.md');
    const readme = await readFile(README, 'utf8');
    await writeFile(
      copy,
      readme.replace('`admin.port` | integer, 0 to 65535 | `8181`', '`admin.port` | any | `80`'),
    );
    const drifted = await runScript('--check', copy);
    expect(drifted).toMatchObject({ code: 1, stderr: expect.stringContaining('generate-reference.mjs') });
    expect((await runScript(copy)).code).toBe(0);
    expect(await readFile(copy, 'utf8')).toBe(readme);
    await writeFile(copy, 'no markers');
    expect((await runScript(copy)).code).not.toBe(0);
    await rm(folder, { recursive: true, force: true });
  });
});
