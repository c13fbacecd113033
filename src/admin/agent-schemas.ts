import { type Static, Type } from 'typebox';
import type { JsonObject } from '../core/json.ts';
import { nodeConfigurationSchema } from '../identity/node-configuration.ts';
import { positionSchema } from './position-text.ts';

export const agentConfigurationSchema = Type.Object(
  {
    bootstrap: Type.Unsafe<JsonObject>({
      type: 'object',
      description: 'envoy.config.bootstrap.v3.Bootstrap: what the Envoy of the node is started with',
    }),
    listener: Type.Object(
      { address: Type.String(), port: Type.Integer(), tls: Type.Boolean() },
      { additionalProperties: false, description: 'where the node answers, also which position it enforces' },
    ),
    maxOfflineSeconds: Type.Integer({
      description: 'how long it may go on, or start, without Chancery (`tier1.maxOfflineSeconds`)',
    }),
    configuration: Type.Optional(nodeConfigurationSchema),
    pending: Type.Optional(
      Type.String({ description: 'why there is no `configuration` now; what the node keeps stays good' }),
    ),
  },
  { additionalProperties: false },
);
export type AgentConfiguration = Readonly<Static<typeof agentConfigurationSchema>>;

export const proofSchema = Type.Object({ position: positionSchema }, { additionalProperties: false });
