import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { backupCommand } from '../../src/cli/backup-command.ts';
import { copyCommand } from '../../src/cli/copy-command.ts';
import { restoreCommand } from '../../src/cli/restore-command.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { type Instance, initInstance } from '../support/serve-process.ts';
import { aRevision, openWriter } from '../support/store-content.ts';

const ERASE_LINE = '\r\x1b[2K';

let instance: Instance;
let entries: number;
const at = (name: string): string => join(instance.folder, name);
const config = (...set: readonly string[]): Config => loadConfig({ file: instance.configFile, set });

beforeAll(async () => {
  instance = await initInstance();
  const writer = await openWriter(instance);
  for (const n of [1, 2, 3]) {
    ({ seq: entries } = await writer.append(`c${n}`, await aRevision(writer, n, 1_048_576)));
  }
  await writer.close();
  await backupCommand(config(), { to: at('first.db') }, silentLogger);
});
afterAll(() => instance.remove());
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** What a command writes, where standard error is a terminal or is none. */
async function written(
  isTTY: boolean,
  command: () => Promise<number>,
): Promise<{ out: string; err: string }> {
  const text = { out: '', err: '' };
  vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    text.out += String(chunk);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
    text.err += String(chunk);
    return true;
  });
  const before = Object.getOwnPropertyDescriptor(process.stderr, 'isTTY');
  Object.defineProperty(process.stderr, 'isTTY', { value: isTTY, configurable: true });
  try {
    expect(await command()).toBe(0);
  } finally {
    if (before === undefined) Reflect.deleteProperty(process.stderr, 'isTTY');
    else Object.defineProperty(process.stderr, 'isTTY', before);
  }
  return text;
}

const commands: readonly [string, string, (name: string) => Promise<number>][] = [
  ['copy', 'copied', (to) => copyCommand(config(), { to: at(to), json: true }, silentLogger)],
  ['backup', 'backed up', (to) => backupCommand(config(), { to: at(to), json: true }, silentLogger)],
  [
    'restore',
    'restored',
    (to) => {
      const flags = { from: at('first.db'), lostFrom: [], json: true };
      return restoreCommand(config(`store.sqlite.path=${at(to)}`), flags, silentLogger);
    },
  ],
];

describe.each(commands)('chancery store %s', (name, verb, run) => {
  it('tells on a terminal how far it is, on one line that changes, and the result is what standard output has', async () => {
    const { out, err } = await written(true, () => run(`${name}-terminal.db`));
    const [before, ...lines] = err.split(ERASE_LINE);
    expect(before).toBe('');
    expect(lines[0]).toMatch(
      new RegExp(`^${verb} \\d+ of ${entries} entries \\(\\d+ %\\), 0 blobs, 0\\.0 MiB`),
    );
    expect(JSON.parse(out)).toMatchObject({ entries, blobs: 6 });
  });

  it('tells it elsewhere in lines, every few seconds', async () => {
    // each look at the clock is five seconds later than the one before
    let nowMs = Date.now();
    vi.spyOn(Date, 'now').mockImplementation(() => (nowMs += 5_000));
    const { out, err } = await written(false, () => run(`${name}-lines.db`));
    const lines = err.split('\n').filter((line) => line.startsWith(verb));
    // one for each commit
    expect(lines.length).toBeGreaterThanOrEqual(4);
    expect(lines.at(-1)).toBe(`${verb} ${entries} of ${entries} entries (100 %), 6 blobs, 3.0 MiB`);
    expect(err).not.toContain(ERASE_LINE);
    expect(JSON.parse(out)).toMatchObject({ entries, blobs: 6 });
  });
});
