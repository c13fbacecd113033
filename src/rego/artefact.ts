/** Written by .scripts/build-toolchain.mjs; what toolchain.wasm.br holds. */
export const ARTEFACT = {
  opa: '1.22.2',
  go: 'go1.26.8',
  /** SHA-256 of the module that Go built */
  wasm: 'sha256:6b46b824691d52232fa34463216c95b09df4333e74af70d9302db6f444c93a3c',
  wasmBytes: 41_076_124,
  /** SHA-256 of toolchain.wasm.br */
  compressed: 'sha256:712dce0f7a7532d9526b17ffcdf41e0cdd3d3da8bc76271be8735c42d7485ad2',
} as const;
