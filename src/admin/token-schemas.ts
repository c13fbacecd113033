import { type Static, Type } from 'typebox';
import { GRANTABLE_SCOPES } from './scopes.ts';

const scopes = Type.Array(Type.String(), { description: 'what it may do; `*`: everything' });
const timestamp = (description: string) => Type.String({ format: 'date-time', description });

export const newTokenSchema = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 128, description: 'for people: who or what uses it' }),
    expiresAt: timestamp('RFC 3339; at most 366 days from now'),
    scopes: Type.Optional(
      Type.Array(Type.Enum([...GRANTABLE_SCOPES]), {
        minItems: 1,
        uniqueItems: true,
        description:
          'default: `*`; no more than the token of the caller holds, but a one-time token issues any',
      }),
    ),
  },
  { additionalProperties: false },
);

export const issuedTokenSchema = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    token: Type.String({ description: 'the bearer token; it cannot be read again' }),
    scopes,
    expiresAt: timestamp('when it ends'),
  },
  { additionalProperties: false },
);

export const tokenSchema = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    scopes,
    issuedAt: timestamp('when it was issued'),
    expiresAt: timestamp('when it ends'),
    oneTime: Type.Boolean({ description: 'its first use ends it' }),
    ended: Type.Boolean({ description: 'used up, or revoked' }),
  },
  { additionalProperties: false },
);
export type TokenView = Static<typeof tokenSchema>;
