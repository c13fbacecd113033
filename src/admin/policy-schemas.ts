import { type Static, Type } from 'typebox';
import { policySourceSchema } from '../policy/source.ts';
import { nameSchema } from '../registry/model.ts';
import { positionSchema } from './position-text.ts';

const digestSchema = Type.Unsafe<`sha256:${string}`>({
  type: 'string',
  pattern: '^sha256:[0-9a-f]{64}$',
  description: 'SHA-256 of the revision',
});
const at = Type.String({ format: 'date-time' });

export const newReleaseSchema = Type.Object(
  { policy: nameSchema, revision: digestSchema },
  { additionalProperties: false },
);

export const releaseSchema = Type.Object(
  {
    policy: nameSchema,
    revision: digestSchema,
    position: positionSchema,
    at,
    rollout: Type.String({ format: 'uri-reference', description: 'where to see how far it has come' }),
  },
  { additionalProperties: false },
);
export type ReleaseView = Static<typeof releaseSchema>;

export const revisionSchema = Type.Object(
  { revision: digestSchema, position: positionSchema, at },
  { additionalProperties: false },
);

export const policySummarySchema = Type.Object(
  {
    name: nameSchema,
    revision: digestSchema,
    at,
    released: Type.Optional(
      Type.Unsafe<string>({ ...digestSchema, description: 'the revision that is live' }),
    ),
    smokeUnits: Type.Optional(
      Type.Array(Type.Integer({ minimum: 0 }), {
        description:
          'what each smoke case cost, of `policy.maxUnits`; absent where there are none, or none were measured',
      }),
    ),
  },
  { additionalProperties: false },
);

export const policySchema = Type.Object(
  { name: nameSchema, revision: digestSchema, at, ...Type.Required(policySourceSchema).properties },
  { additionalProperties: false },
);
