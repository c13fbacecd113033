/** A start with a checkpoint beside one without: `node test/bench/start.ts [entries]`, default 100,000. */
import { arch, cpus, totalmem } from 'node:os';
import { measureStarts } from '../support/measured-starts.ts';

const entries = Number(process.argv[2] ?? 100_000);
const [journal, checkpoint] = await measureStarts(entries);
const machine = {
  node: process.version,
  arch: arch(),
  cpus: cpus().length,
  memoryMiB: Math.round(totalmem() / 1_048_576),
};
console.log(
  JSON.stringify(
    { machine, entries, equalState: journal.stateDigest === checkpoint.stateDigest, journal, checkpoint },
    null,
    2,
  ),
);
