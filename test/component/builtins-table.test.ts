/** The table of built-ins against the list of OPA, and against what is implemented. */
import { afterAll, describe, expect, it } from 'vitest';
import { IMPLEMENTED } from '../../src/builtins/call.ts';
import { BUILTIN_SOURCES, builtinsFrom } from '../../src/builtins/table.ts';
import { Failure } from '../../src/core/failure.ts';
import { ARTEFACT } from '../../src/rego/artefact.ts';
import { createToolchain } from '../../src/rego/toolchain.ts';

const toolchain = createToolchain({ callTimeoutMs: 60_000, maxQueued: 16, maxMemoryMiB: 512 });
afterAll(() => toolchain.close());

/** The compiler tells at most 100 issues. */
const AT_ONCE = 90;

/** Calls each with more arguments than any has; OPA says of which it has never heard. */
async function unknownTo(names: readonly string[]): Promise<readonly string[]> {
  const rules = names.map((name, at) => `r${at} if ${name}(1, 2, 3, 4, 5, 6, 7)`);
  const modules = { 't.rego': ['package t', ...rules].join('\n') };
  const failure = await toolchain.check({ modules, builtins: names }).catch((thrown: unknown) => thrown);
  if (!(failure instanceof Failure)) throw new Error('no call was refused');
  const messages = new Map(failure.issues.map(({ line = 0, message }) => [names[line - 2], message]));
  return names.filter((name) => messages.get(name)?.startsWith('undefined function') === true);
}

describe('the table of built-ins', () => {
  it('has each of the 206 of OPA 1.22.2 once, and no other', async () => {
    expect(ARTEFACT.opa).toBe('1.22.2');
    const names = [...BUILTIN_SOURCES.keys()];
    expect(names).toHaveLength(206);
    const unknown: string[] = [];
    for (let from = 0; from < names.length; from += AT_ONCE) {
      unknown.push(...(await unknownTo([...names.slice(from, from + AT_ONCE), 'no.such'])));
    }
    expect(unknown).toEqual(['no.such', 'no.such', 'no.such']);
  });

  it('says host of what TypeScript implements, and of nothing else', () => {
    expect([...IMPLEMENTED].toSorted()).toEqual(builtinsFrom('host').toSorted());
  });
});
