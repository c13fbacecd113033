import { type Static, Type } from 'typebox';

export const extAuthzOptionsSchema = Type.Object(
  {
    maxConcurrent: Type.Integer({
      minimum: 1,
      maximum: 100_000,
      default: 1024,
      description: 'Checks in progress at once; one more is denied with `overloaded`',
    }),
    defaultDeadlineMs: Type.Integer({
      minimum: 1,
      maximum: 60_000,
      default: 1000,
      description: 'time for a Check whose caller names none',
    }),
    logDenied: Type.Optional(
      Type.Enum(['off', 'debug', 'info'], {
        default: 'debug',
        description: 'level of the line for each denied Check; what went wrong on our side is at warn',
      }),
    ),
  },
  { additionalProperties: false },
);
export type ExtAuthzOptions = Static<typeof extAuthzOptionsSchema>;
