import { type Static, Type } from 'typebox';

/** The `telemetry` section of the configuration. */
export const telemetryOptionsSchema = Type.Object(
  {
    otlp: Type.Optional(
      Type.Object(
        {
          url: Type.String({
            pattern: '^https?://[^\\s]+[^\\s/]$',
            description:
              'of an OpenTelemetry collector, OTLP over HTTP: `/v1/traces` and `/v1/logs` are below it',
          }),
          traces: Type.Boolean({
            default: true,
            description: 'a span for each Check whose caller samples its trace (`traceparent`, else B3)',
          }),
          headersFile: Type.Optional(
            Type.String({ minLength: 1, description: 'JSON object of headers to send, for credentials' }),
          ),
          timeoutMs: Type.Integer({
            minimum: 100,
            maximum: 120_000,
            default: 10_000,
            description: 'of one export, its retries included',
          }),
        },
        { additionalProperties: false, description: 'OpenTelemetry; left out: nothing of it is loaded' },
      ),
    ),
  },
  { additionalProperties: false, default: {} },
);
export type OtlpOptions = NonNullable<Static<typeof telemetryOptionsSchema>['otlp']>;
