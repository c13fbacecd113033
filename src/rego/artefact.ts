/** Written by .scripts/build-toolchain.mjs; what toolchain.wasm.br holds. */
export const ARTEFACT = {
  opa: '1.22.2',
  go: 'go1.26.8',
  /** SHA-256 of the module that Go built */
  wasm: 'sha256:93c2dcda3de6d0ccc344066db7b33d44ea2b3597adc6619e658d54c2be5e2efc',
  wasmBytes: 41_572_451,
  /** SHA-256 of toolchain.wasm.br */
  compressed: 'sha256:d11702461f6db2e14852959b8de67e37340b77c703f7e491775e19a92db0ce24',
} as const;
