import { describe, expect, it } from 'vitest';
import { startProcess } from '../../src/supervise/processes.ts';
import { eventually } from '../support/eventually.ts';

const node = (script: string, onLine: (line: string) => void, stopMs = 10_000) =>
  startProcess({ name: 'node', command: process.execPath, args: ['-e', script], stopMs, onLine });

describe('a supervised process', () => {
  it('hands on what it says, line by line, and how it ended', async () => {
    const lines: string[] = [];
    const child = await node(
      "console.log('one'); console.error('two'); process.stdout.write('three')",
      (line) => lines.push(line),
    );
    expect(await child.ended).toBe('exit code 0');
    expect(lines.toSorted()).toEqual(['one', 'three', 'two']);
  });

  it('is asked to stop, and gone afterwards', async () => {
    const child = await node('setInterval(() => {}, 1000)', () => {});
    await child.stop();
    expect(await child.ended).toBe('SIGTERM');
    expect(() => process.kill(child.pid, 0)).toThrow('ESRCH');
  });

  it('is killed when it does not listen', async () => {
    const lines: string[] = [];
    const child = await node(
      "process.on('SIGTERM', () => {}); console.log('up'); setInterval(() => {}, 1000)",
      (line) => lines.push(line),
      50,
    );
    await eventually('it is up', () => lines.includes('up'));
    await child.stop();
    expect(await child.ended).toBe('SIGKILL');
  });

  it('that cannot be started is an error', async () => {
    const missing = startProcess({
      name: 'x',
      command: '/no/such/binary',
      args: [],
      stopMs: 1,
      onLine: () => {},
    });
    await expect(missing).rejects.toThrow('ENOENT');
  });
});
