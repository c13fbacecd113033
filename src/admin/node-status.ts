/** What control knows of a node, as the API shows it. */
import { type Static, Type } from 'typebox';
import type { NodeStatus, TypeStatus } from '../xds/node-status.ts';
import { ofEachType } from '../xds/resource-types.ts';
import { positionSchema, positionText } from './position-text.ts';

const typeStatusSchema = Type.Object(
  {
    sentVersion: Type.Optional(Type.String({ description: 'of all resources of the type, as sent last' })),
    ackedVersion: Type.Optional(Type.String({ description: 'accepted last' })),
    lastNack: Type.Optional(
      Type.Object(
        {
          version: Type.String(),
          names: Type.Array(Type.String()),
          reason: Type.String({ description: 'as the node says it' }),
          at: Type.String({ format: 'date-time' }),
        },
        { additionalProperties: false, description: 'refused last; stays after a later success' },
      ),
    ),
  },
  { additionalProperties: false },
);

export const nodeStatusSchema = Type.Object(
  {
    connected: Type.Boolean({ description: 'to any control process, now' }),
    offeredPosition: Type.Optional(positionSchema),
    appliedPosition: Type.Optional(positionSchema),
    types: Type.Object(
      ofEachType(() => typeStatusSchema),
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
);

export function toNodeStatusView(status: NodeStatus): Static<typeof nodeStatusSchema> {
  const { connected, offeredPosition, appliedPosition, types } = status;
  return {
    connected,
    ...(offeredPosition && { offeredPosition: positionText(offeredPosition) }),
    ...(appliedPosition && { appliedPosition: positionText(appliedPosition) }),
    types: ofEachType((type) => toTypeView(types[type])),
  };
}

function toTypeView({ lastNack, ...versions }: TypeStatus): Static<typeof typeStatusSchema> {
  return { ...versions, ...(lastNack && { lastNack: { ...lastNack, names: [...lastNack.names] } }) };
}
