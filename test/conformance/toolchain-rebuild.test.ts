import { execFile, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { brotliDecompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/core/digest.ts';
import { ARTEFACT } from '../../src/rego/artefact.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const installed = installedGo();
const isThere = installed === ARTEFACT.go;
if (!isThere) console.log(`the toolchain is not rebuilt: it needs ${ARTEFACT.go}, here is ${installed}`);

function installedGo(): string {
  try {
    return execFileSync('go', ['env', 'GOVERSION'], { env: { ...process.env, GOTOOLCHAIN: 'local' } })
      .toString()
      .trim();
  } catch {
    return 'none';
  }
}

describe('the toolchain artefact', () => {
  it('holds the module whose digest is committed beside it', () => {
    const compressed = readFileSync(`${ROOT}/src/rego/toolchain.wasm.br`);
    expect(sha256(compressed)).toBe(ARTEFACT.compressed);
    const wasm = brotliDecompressSync(compressed);
    expect([sha256(wasm), wasm.length]).toEqual([ARTEFACT.wasm, ARTEFACT.wasmBytes]);
  });

  it('is what its go.mod asks for', () => {
    const goMod = readFileSync(`${ROOT}/src/rego/toolchain/go.mod`, 'utf8');
    expect(goMod).toContain(`toolchain ${ARTEFACT.go}\n`);
    expect(goMod).toContain(`github.com/open-policy-agent/opa v${ARTEFACT.opa}\n`);
  });

  it('holds the functions of numbers.wat', async () => {
    const script = [`${ROOT}/.scripts/build-numbers.mjs`, '--check'];
    const { stderr } = await promisify(execFile)(process.execPath, script);
    expect(stderr).toBe('');
  });

  const rebuilds = isThere || process.env['CI'] === 'true';
  it.runIf(rebuilds)('comes out of its source again, byte for byte', { timeout: 600_000 }, async () => {
    expect(installed).toBe(ARTEFACT.go);
    const script = [`${ROOT}/.scripts/build-toolchain.mjs`, '--check'];
    const { stdout } = await promisify(execFile)(process.execPath, script);
    expect(stdout).toBe(`rebuilt ${ARTEFACT.wasm}: equal\n`);
  });
});
