/**
 * Claims `key-0`, `key-1` … and counts each attempt, as soon as a line comes in; prints the keys that it won, and then
 * the greatest count that it saw.
 *
 * Arguments: database file, number of keys.
 */
import { once } from 'node:events';
import { openStore } from '../../src/store/open.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';

const [path = '', keys = '0'] = process.argv.slice(2);
const HOUR_MS = 3_600_000;
const { shared, close } = await openStore({ sqlite: { path } }, silentLogger);

process.stdout.write('ready\n');
await once(process.stdin, 'data');
process.stdin.destroy();
let count = 0;
for (let n = 0; n < Number(keys); n += 1) {
  if (await shared.claim(`key-${n}`, HOUR_MS)) process.stdout.write(`won key-${n}\n`);
  count = await shared.add('attempts', HOUR_MS, 1);
}
process.stdout.write(`count ${count}\n`);
await close();
