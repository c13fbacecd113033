import { type Static, Type } from 'typebox';

/** Of one gRPC port. */
export const grpcOptionsSchema = Type.Object(
  {
    address: Type.String({
      minLength: 1,
      maxLength: 45,
      default: '127.0.0.1',
      description: 'IP address to listen on; only loopback until the port has TLS',
    }),
    port: Type.Integer({ minimum: 0, maximum: 65535, description: '0: any free port' }),
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
