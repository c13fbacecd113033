/** What calls of the API cost, and why they were refused. The only names in it are those of the program. */
import type { FastifyInstance } from 'fastify';
import type { Count, Metrics } from '../telemetry/metrics.ts';

const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** of what is no endpoint */
const NO_OPERATION = 'none';

/** @returns the counter of refusals, by code */
export function measureCalls(app: FastifyInstance, metrics: Metrics): Count {
  const calls = metrics.counter(
    'chancery_admin_requests_total',
    'Calls of the admin API, by operation and class of status, as 2xx',
    ['operation', 'status'],
  );
  const durations = metrics.histogram(
    'chancery_admin_request_duration_seconds',
    'Time from the head of a call to the end of its answer; streams of events are left out',
    BUCKETS,
    ['operation'],
  );
  app.addHook('onResponse', async (request, reply) => {
    const { operation = NO_OPERATION } = request.routeOptions.config;
    calls.add({ operation, status: `${Math.floor(reply.statusCode / 100)}xx` });
    const isStream = String(reply.getHeader('content-type')).startsWith('text/event-stream');
    if (!isStream) durations.observe(reply.elapsedTime / 1_000, { operation });
  });
  return metrics.counter('chancery_admin_refusals_total', 'Calls that ended with a problem, by its code', [
    'code',
  ]);
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** operationId of the endpoint */
    operation?: string;
  }
}
