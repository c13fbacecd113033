import { builtinsFrom } from '../../src/builtins/table.ts';

/** Those that a compiled module answers without a host; `concat` of an array is one. */
export const NATIVE_BUILTINS: readonly string[] = [...builtinsFrom('native'), 'concat'];
