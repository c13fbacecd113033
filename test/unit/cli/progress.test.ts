import { describe, expect, it } from 'vitest';
import { createProgressPrinter } from '../../../src/cli/progress.ts';

const progress = (entries: number) => ({ entries, of: 200, blobs: 3, bytes: 3 * 1_048_576 });

/** A printer with a clock to turn. */
function aPrinter(isTTY: boolean) {
  let nowMs = 0;
  let text = '';
  const output = {
    isTTY,
    write: (more: string) => {
      text += more;
    },
  };
  const printer = createProgressPrinter('copied', output, () => nowMs);
  return {
    printer,
    text: () => text,
    later: (ms: number) => {
      nowMs += ms;
    },
  };
}

describe('the progress of a copy', () => {
  it('is one line on a terminal, which changes at most ten times a second', () => {
    const { printer, text, later } = aPrinter(true);
    for (let entries = 1; entries <= 100; entries += 1) {
      printer.show(progress(entries));
      later(10);
    }
    printer.end();
    const shown = text().split('\r\x1b[2K');
    expect(shown).toHaveLength(11);
    expect(shown.at(-1)).toBe('copied 91 of 200 entries (45 %), 3 blobs, 3.0 MiB\n');
  });

  it('is a line every few seconds elsewhere, and none for what is quick', () => {
    const { printer, text, later } = aPrinter(false);
    printer.show(progress(1));
    later(4_999);
    printer.show(progress(2));
    expect(text()).toBe('');
    later(1);
    printer.show(progress(3));
    printer.show(progress(4));
    later(5_000);
    printer.show(progress(200));
    printer.end();
    expect(text()).toBe(
      'copied 3 of 200 entries (1 %), 3 blobs, 3.0 MiB\ncopied 200 of 200 entries (100 %), 3 blobs, 3.0 MiB\n',
    );
  });
});
