/** `chancery deps`: what an answer depends on: rules, data that no rule defines, and what of the input is read. */
import type { Dependency } from '../rego/author-messages.ts';
import { readSource, withToolchain } from './author-source.ts';
import { toTable } from './text-table.ts';

export interface DepsFlags {
  readonly format: 'pretty' | 'json';
  readonly ignore: readonly string[];
}

/** @returns 0 */
export async function depsCommand(path: string, query: string, flags: DepsFlags): Promise<number> {
  const { base, virtual } = await withToolchain(async (toolchain) => {
    const source = await readSource([path], flags.ignore, toolchain);
    return toolchain.deps({ ...source, query });
  });
  if (flags.format === 'json') {
    const refs = (all: readonly Dependency[]) => all.map(({ ref }) => ref);
    process.stdout.write(`${JSON.stringify({ base: refs(base), virtual: refs(virtual) }, undefined, 2)}\n`);
    return 0;
  }
  const isInput = ({ text }: Dependency): boolean => /^input(\W|$)/.test(text);
  const columns = {
    'BASE DOCUMENTS': base.filter((each) => !isInput(each)),
    'VIRTUAL DOCUMENTS': virtual,
    INPUT: base.filter(isInput),
  };
  const lists = Object.values(columns);
  const height = Math.max(...lists.map((list) => list.length));
  const rows = Array.from({ length: height }, (_, row) => lists.map((list) => list[row]?.text ?? ''));
  process.stdout.write(toTable(Object.keys(columns), rows));
  return 0;
}
