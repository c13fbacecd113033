/** What a policy may call, for the compiler; who answers it, and why, is in `builtins/table.ts`. */
import { BUILTIN_SOURCES, builtinsFrom } from '../builtins/table.ts';

/** With the network, which a configuration may keep from policies. */
export const ALL_BUILTINS: readonly string[] = [...BUILTIN_SOURCES.keys()];

const OFFLINE_BUILTINS: readonly string[] = ALL_BUILTINS.filter(
  (name) => BUILTIN_SOURCES.get(name) !== 'network',
);

/** Another one is refused with its place. */
export function supportedBuiltins({ httpSend }: { readonly httpSend?: unknown }): readonly string[] {
  return httpSend === undefined ? OFFLINE_BUILTINS : ALL_BUILTINS;
}

/** What a module asks its host for. Of an array the module's own `concat` is right, and is asked. */
export const HOST_BUILTINS: readonly string[] = [
  ...builtinsFrom('host'),
  ...builtinsFrom('go'),
  ...builtinsFrom('network'),
];
