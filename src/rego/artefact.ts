/** Written by .scripts/build-toolchain.mjs; what toolchain.wasm.br holds. */
export const ARTEFACT = {
  opa: '1.22.2',
  go: 'go1.26.8',
  /** SHA-256 of the module that Go built */
  wasm: 'sha256:d405856c4de64d0dc1d3285048d5a03f1c9251e00691fd43382aabb2ba65ac74',
  wasmBytes: 39_703_881,
  /** SHA-256 of toolchain.wasm.br */
  compressed: 'sha256:24fb2e948645e86b19bda9e2aeb2169218494b6daee4c3be5f9a97c5b235817f',
} as const;
