/** Written by .scripts/build-toolchain.mjs; what toolchain.wasm.br holds. */
export const ARTEFACT = {
  opa: '1.22.2',
  go: 'go1.26.8',
  /** SHA-256 of the module that Go built */
  wasm: 'sha256:a65fe5933b378e74ada4df3a2db38f3ea17441642ffd74e3754e16833d119f92',
  wasmBytes: 40_726_304,
  /** SHA-256 of toolchain.wasm.br */
  compressed: 'sha256:daec7c5f3c48ab4a17fdd1827da0067a92864d306c93127cbfc170181dfe94e3',
} as const;
