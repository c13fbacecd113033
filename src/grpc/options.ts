import { type Static, Type } from 'typebox';
import { serverCertificateOptions } from '../core/tls.ts';

const tlsOptionsSchema = Type.Object(
  {
    ...serverCertificateOptions,
    clientCaFile: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'PEM: authorities of the nodes; with it each client must show a certificate of theirs, and a node is what ' +
          'its certificate says: `spiffe://<trust domain>/node/<id>`',
      }),
    ),
    enrolledNodes: Type.Optional(
      Type.Boolean({
        description:
          'nodes that were enrolled here are trusted (`chancery node enrol`), without a file; alone or beside ' +
          '`clientCaFile`',
      }),
    ),
    trustDomain: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 255,
        description: 'the only trust domain of certificates by `clientCaFile`; left out: any that it signs',
      }),
    ),
  },
  { additionalProperties: false, description: 'TLS 1.2 or later; left out: plain' },
);

/** Of one gRPC port. */
export const grpcOptionsSchema = Type.Object(
  {
    address: Type.String({
      minLength: 1,
      maxLength: 107,
      default: '127.0.0.1',
      description:
        'IP address to listen on, or `unix:/path`; an address that others can reach needs `tls.enrolledNodes` or ' +
        '`tls.clientCaFile`',
    }),
    socketMode: Type.Optional(
      Type.String({
        pattern: '^0[0-7]{3}$',
        description:
          'of the file of a Unix socket; who may write to it is believed as this machine is; default 0660',
      }),
    ),
    tls: Type.Optional(tlsOptionsSchema),
    insecure: Type.Optional(
      Type.Boolean({
        description:
          'others may connect without a verified certificate; what they say of clients never counts',
      }),
    ),
    port: Type.Integer({ minimum: 0, maximum: 65535, description: '0: any free port' }),
    maxConnectionAgeSeconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 604_800,
        description:
          'a connection is ended gracefully after this time, and the next one shows the newest certificates; ' +
          'default 3600 where clients must show certificates, else no end',
      }),
    ),
    maxMessageBytes: Type.Integer({
      minimum: 1024,
      maximum: 64 * 1024 * 1024,
      default: 1024 * 1024,
      description: 'largest message that is received; keep it above what Envoy buffers of a body',
    }),
    maxConcurrentStreams: Type.Integer({
      minimum: 1,
      maximum: 10_000,
      default: 256,
      description: 'per connection; Envoy opens another one beyond it',
    }),
  },
  { additionalProperties: false },
);
export type GrpcOptions = Static<typeof grpcOptionsSchema>;
