import { type Static, Type } from 'typebox';
import { serverCertificateOptions } from '../core/tls.ts';

/** The `admin` section of the configuration. */
export const adminOptionsSchema = Type.Object(
  {
    address: Type.String({
      default: '127.0.0.1',
      minLength: 1,
      description: 'IP address to listen on; one that others can reach needs `tls`',
    }),
    tls: Type.Optional(
      Type.Object(serverCertificateOptions, {
        additionalProperties: false,
        description: 'TLS 1.2 or later; left out: plain HTTP',
      }),
    ),
    insecure: Type.Optional(
      Type.Boolean({ description: 'others may connect without TLS: tokens can be read on the way' }),
    ),
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
    maxConnections: Type.Integer({
      default: 256,
      minimum: 1,
      maximum: 65_536,
      description: 'connections at one time; one more is not accepted',
    }),
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
    rateLimit: Type.Object(
      {
        requestsPerSecond: Type.Integer({
          default: 200,
          minimum: 1,
          maximum: 100_000,
          description: 'calls of one token, in the long run; one more is 429',
        }),
        burst: Type.Integer({
          default: 1_000,
          minimum: 1,
          maximum: 1_000_000,
          description: 'calls of one token at once, after a pause',
        }),
        failedPerMinute: Type.Integer({
          default: 60,
          minimum: 1,
          maximum: 1_000_000,
          description:
            'failed authentications of one remote address; one more is 429, a good token still passes',
        }),
      },
      { additionalProperties: false, default: {}, description: 'limits of each process for itself' },
    ),
  },
  { additionalProperties: false },
);
export type AdminOptions = Static<typeof adminOptionsSchema>;
