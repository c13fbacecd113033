import { Type } from 'typebox';

export const opsOptions = Type.Object(
  {
    address: Type.String({ default: '127.0.0.1', description: 'where probes and metrics listen' }),
    port: Type.Integer({ default: 8182, minimum: 0, maximum: 65535, description: '0: any free port' }),
    insecure: Type.Optional(
      Type.Boolean({ description: 'others may read metrics and probes; this port has no TLS' }),
    ),
  },
  { additionalProperties: false, default: {}, description: 'probes and metrics, every role' },
);
