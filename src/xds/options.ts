import { type Static, Type } from 'typebox';

const file = (description: string) => Type.String({ minLength: 1, maxLength: 4096, description });

/** What a node shows to the gRPC ports of Chancery, and whom it trusts there: paths on the node. */
export const envoyTlsSchema = Type.Object(
  {
    certificateFile: file('PEM on each node: its own certificate'),
    privateKeyFile: file('PEM on each node'),
    watchedFolder: Type.Optional(
      file(
        'the folder on each node in which a rename puts new files in place, where that is not the folder of the ' +
          'files: `DIR` for `DIR/current/…` with a link `current`',
      ),
    ),
    secretsFolder: Type.Optional(
      file(
        'folder on each node with `certificate.sds.json` and `authorities.sds.json`, one SDS secret each; with it ' +
          'the connection to `control` takes new certificates too, without it Envoy reads them once, at its start',
      ),
    ),
    caFile: file('PEM on each node: authorities of the certificates that `control.tls` and `authz.tls` name'),
  },
  { additionalProperties: false, description: 'files on the nodes, for those gRPC ports that have `tls`' },
);
export type EnvoyTls = Static<typeof envoyTlsSchema>;

/** A change goes to some nodes first. */
export const stagingSchema = Type.Object(
  {
    batch: Type.Integer({ minimum: 1, maximum: 1_000, description: 'nodes that a change goes to first' }),
    ackSeconds: Type.Integer({
      minimum: 1,
      maximum: 600,
      default: 30,
      description: 'in which they must have accepted it',
    }),
  },
  {
    additionalProperties: false,
    description:
      'a change goes to a few nodes, and to the others when these have accepted it; a refusal halts it until the next ' +
      'change. What may take access away goes to all at once, and so do endpoints. Left out: all at once',
  },
);
/** How long what was right may be enforced when nobody can say any more that it is not. */
export const tier1OptionsSchema = Type.Object(
  {
    maxOfflineSeconds: Type.Integer({
      minimum: 1,
      maximum: 2_592_000,
      default: 86_400,
      description: 'how long a node that is cut off may go on with its last rules, or start with them',
    }),
    maxStreamSeconds: Type.Integer({
      minimum: 1,
      maximum: 86_400,
      default: 3_600,
      description:
        'the longest life of a request, WebSockets and streams included: rules are asked when it begins, so a ' +
        'revocation reaches all by then',
    }),
  },
  { additionalProperties: false, default: {}, description: 'rules that the proxies enforce by themselves' },
);
export type Tier1Options = Static<typeof tier1OptionsSchema>;
