import { Value } from 'typebox/value';
import { systemClock } from '../core/clock.ts';
import { silentLogger } from '../telemetry/logger.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import type { AdminDeps } from './deps.ts';
import { components, endpointsOf } from './endpoints.ts';
import { createHttpApp } from './http-app.ts';
import { type AdminOptions, adminOptionsSchema } from './options.ts';
import { createTokenState } from './token-state.ts';

/**
 * The OpenAPI 3.1 document of this program, without a server: what `/openapi.json` answers, and what `src/client` is
 * generated from.
 */
export async function describeApi(): Promise<object> {
  // Describing calls no endpoint, so that there is nothing that the other rooms would be needed for.
  const endpoints = endpointsOf({} as AdminDeps);
  const options = Value.Default(adminOptionsSchema, {}) as AdminOptions;
  const http = {
    options,
    clock: systemClock,
    logger: silentLogger,
    metrics: createMetrics(),
    tokens: createTokenState(),
  };
  const app = await createHttpApp({ endpoints, components }, http);
  await app.ready();
  const document = app.swagger();
  await app.close();
  return document;
}
