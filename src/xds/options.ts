import { type Static, Type } from 'typebox';

const file = (description: string) => Type.String({ minLength: 1, maxLength: 4096, description });

/** What a node shows to the gRPC ports of Chancery, and whom it trusts there: paths on the node. */
export const envoyTlsSchema = Type.Object(
  {
    certificateFile: file('PEM on each node: its own certificate'),
    privateKeyFile: file('PEM on each node'),
    caFile: file('PEM on each node: authorities of the certificates that `control.tls` and `authz.tls` name'),
  },
  { additionalProperties: false, description: 'files on the nodes, for those gRPC ports that have `tls`' },
);
export type EnvoyTls = Static<typeof envoyTlsSchema>;
