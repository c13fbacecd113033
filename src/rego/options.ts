import { type Static, Type } from 'typebox';

/** The `rego` section of the configuration. */
export const regoOptions = Type.Object(
  {
    callTimeoutMs: Type.Integer({
      default: 30_000,
      minimum: 100,
      maximum: 600_000,
      description: 'how long one compilation, check or test run may take before its worker is ended',
    }),
    maxQueued: Type.Integer({
      default: 16,
      minimum: 0,
      maximum: 1_024,
      description: 'calls that wait for the one in progress',
    }),
    maxMemoryMiB: Type.Integer({
      default: 512,
      minimum: 64,
      maximum: 4_096,
      description: 'linear memory of the compiler and of the tests it runs',
    }),
  },
  { additionalProperties: false, default: {}, description: "OPA's compiler and test runner" },
);
export type RegoOptions = Static<typeof regoOptions>;
