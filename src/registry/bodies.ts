/** Bodies of the entries that the registry folds, schema 1. */
import { Type } from 'typebox';
import { grantSchema, nameSchema, nodeSchema, serviceSchema, settingsSchema } from './model.ts';

export const BODIES = {
  'registry.service.put': Type.Object({ name: nameSchema, service: serviceSchema }),
  'registry.service.delete': Type.Object({ name: nameSchema }),
  'registry.grant.put': Type.Object({ service: nameSchema, id: nameSchema, grant: grantSchema }),
  'registry.grant.delete': Type.Object({ service: nameSchema, id: nameSchema }),
  'registry.node.put': Type.Object({ id: nameSchema, node: nodeSchema }),
  'registry.node.delete': Type.Object({ id: nameSchema }),
  'settings.put': Type.Object({ settings: settingsSchema }),
} as const;
