/** Written by .scripts/build-toolchain.mjs; what toolchain.wasm.br holds. */
export const ARTEFACT = {
  opa: '1.22.2',
  go: 'go1.26.8',
  /** SHA-256 of the module that Go built */
  wasm: 'sha256:42e6e865c40001e82efb7c21a5c09e3559766b5869b8ddeb177851a22dd73a83',
  wasmBytes: 40_743_139,
  /** SHA-256 of toolchain.wasm.br */
  compressed: 'sha256:09a77124df4c112b1d76b139e5e082f24c9dd321aff1e82a75ddb7c12245c7b9',
} as const;
