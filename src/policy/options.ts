import { type Static, Type } from 'typebox';
import { httpSendOptions } from '../outbound/options.ts';

/** 6 to 50 ms of a core, whatever the policy does; usual policies take less than a hundredth of it. */
export const DEFAULT_MAX_UNITS = 50_000_000;
const MOST_UNITS = 2_147_483_647;

/** The `policy` section of the configuration. */
export const policyOptions = Type.Object(
  {
    maxMemoryMiB: Type.Integer({
      default: 64,
      minimum: 2,
      maximum: 2_048,
      description:
        'linear memory of one running policy, its data included, of which a copy is kept besides; an evaluation that ' +
        'needs more is a denial',
    }),
    maxUnits: Type.Integer({
      default: DEFAULT_MAX_UNITS,
      minimum: 10_000,
      maximum: MOST_UNITS,
      description:
        'what one evaluation may cost, the same on every machine: about 1 to 9 million are a millisecond; one that ' +
        'needs more is a denial',
    }),
    threads: Type.Integer({
      default: 2,
      minimum: 1,
      maximum: 64,
      description:
        'for policies with built-in functions that only OPA itself implements; each takes about 150 MB, and none is ' +
        'started before a policy needs it',
    }),
    maxQueued: Type.Integer({
      default: 256,
      minimum: 1,
      maximum: 65_536,
      description: 'evaluations that wait for a thread; one more is denied with `overloaded`',
    }),
    maxToolchainMiB: Type.Integer({
      default: 256,
      minimum: 64,
      maximum: 4_096,
      description: "linear memory of OPA's own built-in functions in each thread",
    }),
    httpSend: Type.Optional(httpSendOptions),
  },
  { additionalProperties: false, default: {}, description: 'the running policies' },
);
export type PolicyOptions = Static<typeof policyOptions>;
