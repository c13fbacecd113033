/** What a policy may call, for the compiler; who answers it, and why, is in `builtins/table.ts`. */
import { BUILTIN_SOURCES, builtinsFrom } from '../builtins/table.ts';

/** They need the network, which no evaluation has. */
const WITHOUT_NETWORK: readonly string[] = ['http.send', 'net.lookup_ip_addr'];

/** Another one is refused with its place. */
export const SUPPORTED_BUILTINS: readonly string[] = [...BUILTIN_SOURCES.keys()].filter(
  (name) => !WITHOUT_NETWORK.includes(name),
);

/** What a module asks its host for. Of an array the module's own `concat` is right, and is asked. */
export const HOST_BUILTINS: readonly string[] = [...builtinsFrom('host'), ...builtinsFrom('go')];
