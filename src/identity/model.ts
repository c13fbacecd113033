import { type Static, Type } from 'typebox';

/** Asymmetric ones only: with a shared secret whoever verifies could also sign (RFC 8725, sections 3.1 and 3.2). */
export const JWT_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;

/** Whose JWTs are accepted, and for whom they must be made. Everything is mandatory: an empty list would check nothing. */
export const issuerSchema = Type.Object(
  {
    issuer: Type.String({ minLength: 1, maxLength: 2048, description: 'value of `iss`, compared exactly' }),
    jwksUri: Type.String({
      pattern: '^https?://[^\\s/?#@]+([/?][^\\s#]*)?$',
      maxLength: 2048,
      description: 'where the public keys are (RFC 7517); http only where the network is trusted',
    }),
    audiences: Type.Array(Type.String({ minLength: 1, maxLength: 2048 }), {
      minItems: 1,
      maxItems: 100,
      uniqueItems: true,
      description: 'a token must name one of them in `aud`',
    }),
    algorithms: Type.Array(Type.Enum([...JWT_ALGORITHMS]), {
      minItems: 1,
      maxItems: JWT_ALGORITHMS.length,
      uniqueItems: true,
      description: 'signature algorithms (RFC 7518, RFC 8037)',
    }),
  },
  { additionalProperties: false },
);
export type Issuer = Static<typeof issuerSchema>;
