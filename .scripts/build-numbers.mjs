/**
 * Compiles src/rego/toolchain/numbers.wat, which the toolchain holds and takes functions from.
 *
 *   node .scripts/build-numbers.mjs           writes numbers.wasm
 *   node .scripts/build-numbers.mjs --check   fails where numbers.wasm is another one
 */
import { readFileSync, writeFileSync } from 'node:fs';
import wabt from 'wabt';

const source = new URL('../src/rego/toolchain/numbers.wat', import.meta.url);
const target = new URL('../src/rego/toolchain/numbers.wasm', import.meta.url);

const { parseWat } = await wabt();
const compiled = parseWat('numbers.wat', readFileSync(source, 'utf8')).toBinary({}).buffer;
if (process.argv.includes('--check')) {
  if (!readFileSync(target).equals(compiled)) throw new Error('numbers.wasm is not what numbers.wat says');
} else writeFileSync(target, compiled);
