/** Written by .scripts/build-toolchain.mjs; what toolchain.wasm.br holds. */
export const ARTEFACT = {
  opa: '1.22.2',
  go: 'go1.26.8',
  /** SHA-256 of the module that Go built */
  wasm: 'sha256:963dc00e53bf3103a88a91ba91314100f3ea80686cf06416686551cc9f2a5e23',
  wasmBytes: 40_738_907,
  /** SHA-256 of toolchain.wasm.br */
  compressed: 'sha256:3ec6696bacb32cbb2e5a4e79641e526a87aa9c81ae7568ebfb88a2b58e3619a8',
} as const;
