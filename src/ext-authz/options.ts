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
    compatibility: Type.Optional(
      Type.Enum(['chancery', 'opa-envoy'], {
        default: 'chancery',
        description:
          'what is answered when a policy is undefined, fails or is late, or a request cannot be parsed: a denial in ' +
          'an OK RPC, or what opa-envoy-plugin answers, which fails the RPC and leaves it to the proxy',
      }),
    ),
    dryRun: Type.Optional(
      Type.Boolean({
        description:
          '**everything is allowed**, also what is undefined or fails; what the answer would have been is in the ' +
          'dynamic metadata (`dry_run`), the log and the metrics. With `compatibility: opa-envoy` only denials are',
      }),
    ),
    parseErrors: Type.Optional(
      Type.Enum(['refuse', 'input'], {
        default: 'refuse',
        description:
          'a path, query or body that cannot be parsed is a 400, or it is left out of the input, which says so in ' +
          '`input.parse_error: {part, message}`, and the policy decides',
      }),
    ),
    parseBodies: Type.Optional(
      Type.Boolean({
        default: true,
        description: 'false: the input has neither `parsed_body` nor `truncated_body`',
      }),
    ),
    protoDescriptorFile: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'FileDescriptorSet with all imports, by which the first message of a gRPC body is parsed; read at the start',
      }),
    ),
    maxInflatedBytes: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 64 * 1024 * 1024,
        description: 'of a gzip-compressed gRPC message; left out: those are not parsed',
      }),
    ),
    decisionIdHeader: Type.Optional(
      Type.String({
        pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$",
        description: 'response header that tells the client the decision id',
      }),
    ),
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
