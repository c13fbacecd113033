/** Written by .scripts/build-toolchain.mjs; what toolchain.wasm.br holds. */
export const ARTEFACT = {
  opa: '1.22.2',
  go: 'go1.26.8',
  /** SHA-256 of the module that Go built */
  wasm: 'sha256:d5688fb62b2c65fce484bba614c26fcacbdcdadbbe37e6ec72ed6bf032ac95b0',
  wasmBytes: 39_759_653,
  /** SHA-256 of toolchain.wasm.br */
  compressed: 'sha256:5ce25d6f75aae7268f4f8c5c059557550a1115d5dfe7ae0927ea3fdee9381070',
} as const;
