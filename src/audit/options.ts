import { type Static, Type } from 'typebox';

const MIB = 1_048_576;

const whenFull = Type.Enum(['drop', 'block'], {
  default: 'drop',
  description:
    'what happens while the queue of this sink is full: `drop` loses events and counts them, `block` answers new ' +
    'Checks with `overloaded`',
});
const names = (description: string) =>
  Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { default: [], maxItems: 256, description });

const redactSchema = Type.Object(
  {
    names: names('further headers, parameters and members of bodies whose values are secret'),
    claims: names('claims of a verified token that may be written; `*`: all; by default none is'),
    bodies: Type.Boolean({
      default: false,
      description:
        '`body` and `rawBody` are written too, unless something was taken out of `parsed_body`; of a body that is not ' +
        'parsed, only what looks like a token is found; `parsed_body` always is, without secrets',
    }),
  },
  {
    additionalProperties: false,
    default: {},
    description: 'secrets are never written; this adds to what is one',
  },
);
export type RedactOptions = Static<typeof redactSchema>;

const consoleSchema = Type.Object(
  { whenFull },
  { additionalProperties: false, description: "JSON lines on standard output, in OPA's console form" },
);

const fileSchema = Type.Object(
  {
    path: Type.String({ minLength: 1, description: 'JSON lines; `path.1`, `path.2` … are the older ones' }),
    maxFileMiB: Type.Integer({
      minimum: 1,
      maximum: 65_536,
      default: 64,
      description: 'then a new one is begun',
    }),
    maxFiles: Type.Integer({
      minimum: 1,
      maximum: 1_000,
      default: 8,
      description: 'older ones that are kept, besides the one that is written',
    }),
    whenFull,
  },
  { additionalProperties: false, description: 'rotated files, mode 0600' },
);
export type FileSinkOptions = Static<typeof fileSchema>;

const httpSchema = Type.Object(
  {
    url: Type.String({
      pattern: '^https?://[^\\s]+$',
      description: "of a service that takes OPA's uploads: gzip JSON arrays are POSTed to `<url>/logs`",
    }),
    tokenFile: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'bearer token, read at the start; not over plain HTTP to others',
      }),
    ),
    maxChunkBytes: Type.Integer({
      minimum: 1_024,
      maximum: 16 * MIB,
      default: 262_144,
      description: 'of one upload, before compression; an event that is larger goes alone',
    }),
    maxDelayMs: Type.Integer({
      minimum: 10,
      maximum: 600_000,
      default: 5_000,
      description: 'the longest time until a chunk that is not full is uploaded; half of it is the shortest',
    }),
    timeoutMs: Type.Integer({
      minimum: 100,
      maximum: 120_000,
      default: 10_000,
      description: 'of one upload',
    }),
    whenFull,
  },
  {
    additionalProperties: false,
    description:
      'OPA-compatible upload; what the other end cannot take now is tried again, what it refuses is lost',
  },
);
export type HttpSinkOptions = Static<typeof httpSchema>;

const otlpSchema = Type.Object(
  { whenFull },
  { additionalProperties: false, description: 'OpenTelemetry logs, to `telemetry.otlp.url`' },
);

/** The `audit` section of the configuration. */
export const auditOptionsSchema = Type.Object(
  {
    labels: Type.Record(Type.String(), Type.String(), {
      default: {},
      description: 'in each event, besides `id` and `version`',
    }),
    maskPolicy: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'released policy whose `system/log/mask` says what is taken out',
      }),
    ),
    dropPolicy: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'released policy whose `system/log/drop` says what is not written',
      }),
    ),
    redact: redactSchema,
    ndBuiltinCache: Type.Boolean({
      default: false,
      description:
        'what built-ins answered that may say something else each time (`time.now_ns`, `rand.intn` …) is written, as ' +
        "by OPA's `nd_builtin_cache: true`",
    }),
    ndBuiltinCacheMaxBytes: Type.Integer({
      minimum: 1_024,
      maximum: 16 * MIB,
      default: 65_536,
      description: 'of it in one event; when it is more, the event says that it was dropped',
    }),
    queueEvents: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      default: 10_000,
      description: 'for each sink: events that are not written yet',
    }),
    queueMiB: Type.Integer({
      minimum: 1,
      maximum: 4_096,
      default: 64,
      description: 'for each sink: their size',
    }),
    console: Type.Optional(consoleSchema),
    file: Type.Optional(fileSchema),
    http: Type.Optional(httpSchema),
    otlp: Type.Optional(otlpSchema),
  },
  {
    additionalProperties: false,
    default: {},
    description: 'the decision log; without a sink nothing is recorded',
  },
);
export type AuditOptions = Static<typeof auditOptionsSchema>;
