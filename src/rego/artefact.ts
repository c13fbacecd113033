/** Written by .scripts/build-toolchain.mjs; what toolchain.wasm.br holds. */
export const ARTEFACT = {
  opa: '1.22.2',
  go: 'go1.26.8',
  /** SHA-256 of the module that Go built */
  wasm: 'sha256:c1cd42643059a3c1cea68c1e8a4f328915e1e79380e719c3eae8ddc131e17800',
  wasmBytes: 41_568_424,
  /** SHA-256 of toolchain.wasm.br */
  compressed: 'sha256:b69c752502115466dc6b5aac691bf65dd4a0e56431cb38e9eb54e048cae6c2e2',
} as const;
