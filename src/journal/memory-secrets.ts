/** Sealed secrets in memory: for tests, and for `serve` without a store. */
import type { SealedSecrets } from './secrets.ts';

export function createMemorySealedSecrets(): SealedSecrets {
  const secrets = new Map<string, Uint8Array>();
  return {
    async put(name, sealed) {
      secrets.set(name, Uint8Array.from(sealed));
    },
    async get(name) {
      const sealed = secrets.get(name);
      return sealed === undefined ? undefined : Uint8Array.from(sealed);
    },
    async delete(name) {
      secrets.delete(name);
    },
    // names are ASCII: the order of code units is that of bytes
    names: async (after, limit) =>
      [...secrets.keys()]
        .filter((name) => name > after)
        .toSorted()
        .slice(0, limit),
  };
}
