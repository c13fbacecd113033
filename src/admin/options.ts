import { type Static, Type } from 'typebox';

/** The `admin` section of the configuration. */
export const adminOptionsSchema = Type.Object(
  {
    address: Type.String({
      default: '127.0.0.1',
      minLength: 1,
      description: 'where the admin REST API listens; loopback only until TLS is configured',
    }),
    port: Type.Integer({ default: 8181, minimum: 0, maximum: 65535, description: '0: any free port' }),
    tokenFile: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'file with a bearer token for an in-memory journal, which no `init` has given one',
      }),
    ),
    maxBodyBytes: Type.Integer({
      default: 1_048_576,
      minimum: 1_024,
      maximum: 16_777_216,
      description: 'largest request body; a policy may have eight times as much',
    }),
    maxConnections: Type.Integer({ default: 256, minimum: 1, maximum: 65_536 }),
    requestTimeoutSeconds: Type.Integer({
      default: 10,
      minimum: 1,
      maximum: 300,
      description: 'deadline of a call, and for receiving a whole request',
    }),
    publishTimeoutSeconds: Type.Integer({
      default: 30,
      minimum: 1,
      maximum: 600,
      description: 'deadline of publishing a policy, which compiles it and runs its tests',
    }),
  },
  { additionalProperties: false },
);
export type AdminOptions = Static<typeof adminOptionsSchema>;
