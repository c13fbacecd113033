import { describe, expect, it } from 'vitest';
import { measureStarts } from '../support/measured-starts.ts';

const ENTRIES = 100_000;

describe('a start after 100,000 entries', () => {
  it('from a checkpoint has the state, by digest, of one that reads them all', async () => {
    const [journal, checkpoint] = await measureStarts(ENTRIES);
    console.log(JSON.stringify({ journal, checkpoint }));
    expect(journal).toMatchObject({ restoredSeq: 0, seq: ENTRIES });
    expect(checkpoint).toMatchObject({ restoredSeq: ENTRIES, seq: ENTRIES });
    expect(journal.records).toBeGreaterThan(10_000);
    expect(checkpoint.stateDigest).toBe(journal.stateDigest);
  });
});
