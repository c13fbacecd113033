/** Secrets are copied as they are: sealed, and opened by the same key as before. */
import type { SealedSecrets } from './secrets.ts';

const PAGE = 100;

/** Afterwards the target has the secrets of the source and no other: what was deleted stays deleted. @returns how many */
export async function copySealedSecrets(source: SealedSecrets, target: SealedSecrets): Promise<number> {
  const copied = new Set<string>();
  for await (const name of allNames(source)) {
    const sealed = await source.get(name);
    if (sealed === undefined) continue;
    await target.put(name, sealed);
    copied.add(name);
  }
  for await (const name of allNames(target)) if (!copied.has(name)) await target.delete(name);
  return copied.size;
}

async function* allNames(secrets: SealedSecrets): AsyncGenerator<string, void, void> {
  let after = '';
  for (;;) {
    const names = await secrets.names(after, PAGE);
    yield* names;
    const last = names.at(-1);
    if (last === undefined) return;
    after = last;
  }
}
