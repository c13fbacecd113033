/**
 * What exists: services with their operations and endpoints, grants, nodes and groups of them, settings; who calls is
 * in `parties.ts`. One TypeBox schema per object is its type, its check and its documentation; `admin` shows the same
 * schemas in `/openapi.json`.
 */
import { type Static, Type } from 'typebox';
import { AUTHENTICATE_MODES } from '../core/principal.ts';
import { appNameSchema, groupNameSchema, noticeSchema } from './parties.ts';

/** Name of a service, grant, node, policy or issuer. */
export const nameSchema = Type.String({
  pattern: '^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$',
  description: 'lower-case letters, digits, ".", "_" and "-"; 1 to 63 characters',
});

export const ACCESS_MODES = ['grants', 'policy', 'grants-and-policy'] as const;
export const accessSchema = Type.Enum([...ACCESS_MODES], {
  description: 'who decides: grants in the proxy, the policy, or both, grants first',
});
export const authenticateSchema = Type.Enum([...AUTHENTICATE_MODES], {
  description: 'the credential that must be there and valid before the policy is asked',
});

export const SERVICE_STATES = ['enabled', 'disabled'] as const;

export const operationSchema = Type.Object(
  {
    id: Type.String({ pattern: '^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$' }),
    method: Type.String({ pattern: '^[A-Z]{1,16}$', description: 'HTTP method, or in upper case any token' }),
    path: Type.String({
      pattern: '^/',
      maxLength: 1024,
      description:
        'as the client sends it, below `prefix`: literal segments or `{name}`, which stands for exactly one segment',
    }),
  },
  { additionalProperties: false },
);

export const endpointSchema = Type.Object(
  {
    address: Type.String({ minLength: 1, maxLength: 253, description: 'IP address' }),
    port: Type.Integer({ minimum: 1, maximum: 65535 }),
  },
  { additionalProperties: false },
);

export const serviceSchema = Type.Object(
  {
    hosts: Type.Array(Type.String({ minLength: 1, maxLength: 253 }), {
      minItems: 1,
      maxItems: 100,
      description: 'host names, or `*`; ports are ignored',
    }),
    prefix: Type.String({ pattern: '^/', maxLength: 1024, description: 'path prefix, ends at a segment' }),
    access: accessSchema,
    operations: Type.Optional(
      Type.Array(operationSchema, {
        minItems: 1,
        maxItems: 1000,
        description: 'none: one operation, `*`, which is everything below the prefix',
      }),
    ),
    policy: Type.Optional(nameSchema),
    entrypoint: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*$',
        maxLength: 253,
        description: 'default: envoy/authz/allow',
      }),
    ),
    authenticate: Type.Optional(authenticateSchema),
    endpoints: Type.Array(endpointSchema, { maxItems: 1000 }),
    owner: Type.Optional(appNameSchema),
    state: Type.Optional(
      Type.Enum([...SERVICE_STATES], {
        description:
          'default: enabled; `disabled`: whoever may call gets 503 and the notice, others what they got',
      }),
    ),
    notice: Type.Optional(noticeSchema),
  },
  { additionalProperties: false },
);
export type Service = Static<typeof serviceSchema>;
export type Operation = Static<typeof operationSchema>;

export const GRANT_EFFECTS = ['allow', 'deny'] as const;

export const grantSchema = Type.Object(
  {
    subject: Type.Union(
      [
        Type.Object(
          {
            spiffe: Type.String({
              pattern: '^spiffe://',
              maxLength: 2048,
              description: 'SPIFFE ID, matched exactly',
            }),
          },
          { additionalProperties: false },
        ),
        Type.Object({ app: appNameSchema }, { additionalProperties: false }),
        Type.Object({ group: groupNameSchema }, { additionalProperties: false }),
      ],
      { description: 'a workload by its SPIFFE ID, a registered app, or all registered apps of a group' },
    ),
    operations: Type.Array(Type.String({ minLength: 1, maxLength: 63 }), {
      minItems: 1,
      maxItems: 1000,
      uniqueItems: true,
      description: 'operation ids, or `*` alone',
    }),
    effect: Type.Optional(
      Type.Enum([...GRANT_EFFECTS], {
        description: 'default: allow; `deny` takes away what other grants allow, whatever they are',
      }),
    ),
    expiresAt: Type.Optional(
      Type.String({
        maxLength: 40,
        pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d{1,9})?(Z|[+-]\\d{2}:\\d{2})$',
        description: 'RFC 3339; from then on it is as if it were not there. Not of a deny',
      }),
    ),
  },
  { additionalProperties: false },
);
export type Grant = Static<typeof grantSchema>;

export const NODE_KINDS = ['envoy', 'proxyless'] as const;

export const nodeSchema = Type.Object(
  {
    kind: Type.Optional(
      Type.Enum([...NODE_KINDS], {
        description:
          'default: envoy; `proxyless`: a gRPC client that follows xDS itself (`xds:///SERVICE`); it is told where ' +
          'its services are, and enforces nothing',
      }),
    ),
    services: Type.Array(nameSchema, { maxItems: 1000, uniqueItems: true }),
    listener: Type.Optional(
      Type.Object(
        {
          address: Type.String({ minLength: 1, maxLength: 253, description: 'IP address' }),
          port: Type.Integer({ minimum: 1, maximum: 65535 }),
          tls: Type.Optional(
            Type.Object(
              {
                certificateFile: Type.String({ minLength: 1, description: 'path on the node' }),
                privateKeyFile: Type.String({
                  minLength: 1,
                  description: 'path on the node; the key never leaves it',
                }),
                clientCaFile: Type.String({ minLength: 1, description: 'path on the node' }),
                watchedFolder: Type.Optional(
                  Type.String({
                    minLength: 1,
                    description:
                      'folder on the node in which a rename puts new files in place; left out: the folders of the files',
                  }),
                ),
                clientCertificate: Type.Union([Type.Literal('optional'), Type.Literal('required')]),
              },
              { additionalProperties: false },
            ),
          ),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);
export type Node = Static<typeof nodeSchema>;
export type EnvoyNode = Node & { readonly listener: NonNullable<Node['listener']> };

/** A proxyless node has no listener of its own. */
export function isEnvoyNode(node: Node): node is EnvoyNode {
  return node.kind !== 'proxyless' && node.listener !== undefined;
}

export const nodeGroupSchema = Type.Object(
  {
    nodes: Type.Array(nameSchema, { maxItems: 1000, uniqueItems: true }),
    services: Type.Array(nameSchema, {
      maxItems: 1000,
      uniqueItems: true,
      description: 'each of the nodes has these too',
    }),
  },
  { additionalProperties: false },
);
export type NodeGroup = Static<typeof nodeGroupSchema>;

export const settingsSchema = Type.Object(
  {
    defaultPolicy: Type.Optional(nameSchema),
    selectablePolicies: Type.Optional(Type.Array(nameSchema, { maxItems: 1000, uniqueItems: true })),
    authenticate: Type.Optional(authenticateSchema),
  },
  { additionalProperties: false },
);
export type Settings = Static<typeof settingsSchema>;

export const DEFAULT_ENTRYPOINT = 'envoy/authz/allow';
/** The one operation of a service that names none. */
export const ANY_OPERATION = '*';
