/** `chancery fmt`: Rego as OPA's formatter writes it. What does not parse is left as it is, and so is everything else. */
import { writeFileSync } from 'node:fs';
import { createTwoFilesPatch } from 'diff';
import { withToolchain } from './author-source.ts';
import { complain } from './output.ts';
import { readPolicies } from './policy-paths.ts';

export interface FmtFlags {
  /** rewrite the files */
  readonly write?: boolean;
  /** say only which files would change */
  readonly list?: boolean;
  /** say what would change */
  readonly diff?: boolean;
  /** exit code 2 when something would change */
  readonly fail?: boolean;
}

const CHANGED = 2;

/** @returns 0; 2 with `--fail` when something would change */
export async function fmtCommand(paths: readonly string[], flags: FmtFlags): Promise<number> {
  const { modules } = readPolicies(paths);
  const formatted = await withToolchain((toolchain) => toolchain.format(modules));
  const changed = Object.entries(formatted).filter(([file, text]) => text !== modules[file]);
  if (flags.fail === true && flags.list !== true && flags.diff !== true) {
    for (const [file] of changed) complain(`${file}: unexpected diff`);
  } else if (flags.list === true) {
    for (const [file] of changed) process.stdout.write(`${file}\n`);
  } else if (flags.diff === true) {
    for (const [file, text] of changed) {
      process.stdout.write(createTwoFilesPatch(file, file, modules[file] ?? '', text, '', 'formatted'));
    }
  } else if (flags.write === true) {
    for (const [file, text] of changed) writeFileSync(file, text);
  } else {
    for (const text of Object.values(formatted)) process.stdout.write(text);
  }
  return flags.fail === true && changed.length > 0 ? CHANGED : 0;
}
