import { type Static, Type } from 'typebox';

/** The `policy` section of the configuration. */
export const policyOptions = Type.Object(
  {
    maxMemoryMiB: Type.Integer({
      default: 64,
      minimum: 2,
      maximum: 2_048,
      description:
        'linear memory of one running policy, its data included; an evaluation that needs more is a denial',
    }),
  },
  { additionalProperties: false, default: {}, description: 'the running policies' },
);
export type PolicyOptions = Static<typeof policyOptions>;
