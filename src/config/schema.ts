/**
 * The one configuration file: what opens the store and the listeners. Everything that decides is in the journal;
 * `state` is for `serve` without a store, whose journal lives in memory.
 */
import { type Static, Type } from 'typebox';
import { adminOptionsSchema } from '../admin/options.ts';
import { auditOptionsSchema } from '../audit/options.ts';
import { extAuthzOptionsSchema } from '../ext-authz/options.ts';
import { grpcOptionsSchema } from '../grpc/options.ts';
import { identityOptionsSchema } from '../identity/options.ts';
import { journalOptionsSchema } from '../journal/options.ts';
import { opsOptions } from '../ops/options.ts';
import { policyOptions } from '../policy/options.ts';
import { regoOptions } from '../rego/options.ts';
import { storeOptionsSchema } from '../store/options.ts';
import { LOG_LEVELS } from '../telemetry/logger.ts';
import { telemetryOptionsSchema } from '../telemetry/options.ts';
import { envoyTlsSchema, stagingSchema, tier1OptionsSchema } from '../xds/options.ts';

export const ROLES = ['admin', 'authz', 'control'] as const;

const port = (standard: number) =>
  Type.Integer({ minimum: 0, maximum: 65535, default: standard, description: '0: any free port' });
const roleSchema = Type.Enum([...ROLES]);

const announceSchema = Type.Object(
  {
    address: Type.String({ minLength: 1, maxLength: 107, description: 'IP address' }),
    port: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 65535, description: 'left out: that of the listener' }),
    ),
  },
  {
    additionalProperties: false,
    description: 'where nodes reach this process, when that is not where it listens (0.0.0.0, NAT)',
  },
);

export const configSchema = Type.Object(
  {
    roles: Type.Array(roleSchema, {
      default: [...ROLES],
      minItems: 1,
      uniqueItems: true,
      description: 'what this process does',
    }),
    drainSeconds: Type.Integer({
      minimum: 0,
      maximum: 300,
      default: 5,
      description:
        'at its stop a process says that it will not serve, answers for so long all the same, and then closes: long ' +
        'enough for Envoys to be told (about 2 s)',
    }),
    log: Type.Object(
      {
        level: Type.Enum([...LOG_LEVELS], {
          default: 'info',
          description: 'the least severe that is logged',
        }),
      },
      { additionalProperties: false, default: {} },
    ),
    store: Type.Optional(storeOptionsSchema),
    journal: Type.Object(
      { ...journalOptionsSchema.properties },
      { additionalProperties: false, default: {} },
    ),
    identity: Type.Object(
      { ...identityOptionsSchema.properties },
      { additionalProperties: false, default: {} },
    ),
    rego: regoOptions,
    policy: policyOptions,
    authz: Type.Object(
      {
        ...grpcOptionsSchema.properties,
        ...extAuthzOptionsSchema.properties,
        port: port(9191),
        announce: Type.Optional(announceSchema),
      },
      { additionalProperties: false, default: {}, description: 'ext_authz and health over gRPC' },
    ),
    audit: auditOptionsSchema,
    telemetry: telemetryOptionsSchema,
    control: Type.Object(
      {
        ...grpcOptionsSchema.properties,
        port: port(18000),
        envoyTls: Type.Optional(envoyTlsSchema),
        rollout: Type.Optional(stagingSchema),
        checkTimeoutMs: Type.Integer({
          minimum: 50,
          maximum: 10_000,
          default: 500,
          description:
            'how long a node waits for a Check; half of it for a connection, and then it tries another one',
        }),
      },
      { additionalProperties: false, default: {}, description: 'delta ADS over gRPC' },
    ),
    tier1: tier1OptionsSchema,
    admin: Type.Object(
      { ...adminOptionsSchema.properties },
      { additionalProperties: false, default: {}, description: 'policy admin REST' },
    ),
    ops: opsOptions,
    state: Type.Optional(
      Type.Object(
        {
          settings: Type.Optional(Type.Unknown()),
          issuers: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
          services: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
          grants: Type.Optional(Type.Record(Type.String(), Type.Record(Type.String(), Type.Unknown()))),
        },
        {
          additionalProperties: false,
          description: 'the first entries of an in-memory journal; the objects of the REST API by name',
        },
      ),
    ),
  },
  { additionalProperties: false },
);
export type Config = Static<typeof configSchema>;
