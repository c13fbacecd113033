import { type Static, Type } from 'typebox';

export const identityOptionsSchema = Type.Object(
  {
    clockToleranceSeconds: Type.Integer({
      minimum: 0,
      maximum: 300,
      default: 5,
      description: 'how far the clock of an issuer may be off',
    }),
    jwksTimeoutMs: Type.Integer({
      minimum: 100,
      maximum: 30_000,
      default: 3000,
      description: 'time for one request to an issuer for its keys',
    }),
    jwksMaxAgeSeconds: Type.Integer({
      minimum: 1,
      maximum: 86_400,
      default: 300,
      description: 'keys of an issuer are read again after this time',
    }),
    jwksCooldownSeconds: Type.Integer({
      minimum: 1,
      maximum: 3600,
      default: 5,
      description: 'least time between two readings, whatever tokens ask for and also after a failure',
    }),
    tokenCacheEntries: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      default: 5000,
      description: 'verified tokens kept per issuer',
    }),
    tokenCacheSeconds: Type.Integer({
      minimum: 1,
      maximum: 3600,
      default: 60,
      description: 'a verified token is verified again after this time: how long a withdrawn key may live on',
    }),
  },
  { additionalProperties: false },
);
export type IdentityOptions = Static<typeof identityOptionsSchema>;
