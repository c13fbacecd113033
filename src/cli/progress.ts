/** How far a copy is, on standard error: one line that changes on a terminal, elsewhere a line every few seconds. */
import type { CopyProgress } from '../journal/copy.ts';

export interface ProgressPrinter {
  show(progress: CopyProgress): void;
  /** what comes next begins on a line of its own */
  end(): void;
}

interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const TERMINAL_EVERY_MS = 100;
const LINE_EVERY_MS = 5_000;
const ERASE_LINE = '\r\x1b[2K';

/** @param verb  `copied` */
export function createProgressPrinter(
  verb: string,
  output: Output = process.stderr,
  nowMs: () => number = Date.now,
): ProgressPrinter {
  const isTerminal = output.isTTY === true;
  const everyMs = isTerminal ? TERMINAL_EVERY_MS : LINE_EVERY_MS;
  let shownMs = isTerminal ? Number.NEGATIVE_INFINITY : nowMs();
  let open = false;
  return {
    show(progress) {
      if (nowMs() - shownMs < everyMs) return;
      shownMs = nowMs();
      open = isTerminal;
      output.write(isTerminal ? ERASE_LINE + describe(verb, progress) : `${describe(verb, progress)}\n`);
    },
    end() {
      if (open) output.write('\n');
      open = false;
    },
  };
}

function describe(verb: string, { entries, of, blobs, bytes }: CopyProgress): string {
  const percent = of === 0 ? 100 : Math.floor((100 * entries) / of);
  return `${verb} ${entries} of ${of} entries (${percent} %), ${blobs} blobs, ${toMiB(bytes)} MiB`;
}

function toMiB(bytes: number): string {
  return (bytes / 1_048_576).toFixed(1);
}
