/**
 * REST for people and pipelines. A call is authenticated before its body is read; then its form is checked; then
 * its endpoint runs with a deadline. Whatever goes wrong leaves as a problem (RFC 9457).
 */
import { randomUUID } from 'node:crypto';
import fastifySwagger from '@fastify/swagger';
import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import type { TObject, TSchema } from 'typebox';
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type Endpoint, requirePermission, toCall } from './endpoint.ts';
import { parseJsonBody } from './json-body.ts';
import { openApiInfo } from './openapi.ts';
import type { AdminOptions } from './options.ts';
import { positionText } from './position-text.ts';
import { isNotModified } from './precondition.ts';
import { answerUnreadable, SECURITY_HEADERS, sendProblem } from './refusals.ts';
import { toRouteSchema } from './route-schema.ts';
import type { ApiToken, TokenState } from './token-state.ts';
import { authenticateToken } from './tokens.ts';

export interface HttpDeps {
  readonly options: AdminOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tokens: TokenState;
}

/** A policy is many files: its body may have this many times `maxBodyBytes`. */
const HEAVY_BODY_FACTOR = 8;
const MAX_HEADER_BYTES = 16_384;

/** The application without a socket; also what the OpenAPI document is made of. */
export async function createHttpApp(
  api: { readonly endpoints: readonly Endpoint[]; readonly components: Readonly<Record<string, TSchema>> },
  deps: HttpDeps,
): Promise<FastifyInstance> {
  const { endpoints, components } = api;
  const app = fastify({
    logger: false,
    genReqId: () => randomUUID(),
    bodyLimit: deps.options.maxBodyBytes,
    requestTimeout: deps.options.requestTimeoutSeconds * 1_000,
    connectionTimeout: 2 * deps.options.publishTimeoutSeconds * 1_000,
    http: { maxHeaderSize: MAX_HEADER_BYTES },
    forceCloseConnections: 'idle',
    // Its own 503 is no problem document; a call that came in is served while the server drains.
    return503OnClosing: false,
    ajv: {
      // Nothing is repaired: a wrong type and an unknown member are errors, all of which are told.
      customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: false, allErrors: true },
    },
    frameworkErrors: (error, request, reply) => {
      void sendProblem(error, request, reply, deps.logger);
    },
    clientErrorHandler: answerUnreadable,
  });
  app.server.maxConnections = deps.options.maxConnections;
  const callers = new WeakMap<FastifyRequest, ApiToken>();

  await app.register(fastifySwagger, openApiInfo);
  for (const [name, schema] of Object.entries(components)) app.addSchema({ ...schema, $id: name });
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer));
  acceptJsonOnly(app);

  app.addHook('onRequest', async (request, reply) => {
    reply.headers(SECURITY_HEADERS);
    if (request.routeOptions.config.isPublic) return;
    callers.set(request, authenticateToken(request.headers.authorization, deps.tokens, deps.clock));
  });
  app.setErrorHandler((error, request, reply) => sendProblem(error, request, reply, deps.logger));

  app.get('/openapi.json', { schema: { hide: true }, config: { isPublic: true } }, async () => app.swagger());
  for (const endpoint of endpoints) addEndpoint(app, endpoint, deps, callers);
  app.setNotFoundHandler((request, reply) => {
    const allowed = methodsOf(endpoints, request.url);
    if (allowed.length > 0) void reply.header('allow', allowed.join(', '));
    const failure =
      allowed.length > 0
        ? new Failure('request_malformed', `this resource answers ${allowed.join(', ')}`)
        : new Failure('not_found', 'there is no such resource');
    return sendProblem(failure, request, reply, deps.logger, allowed.length > 0 ? 405 : 404);
  });
  return app;
}

function addEndpoint(
  app: FastifyInstance,
  form: Endpoint,
  deps: HttpDeps,
  callers: WeakMap<FastifyRequest, ApiToken>,
): void {
  const { requestTimeoutSeconds, publishTimeoutSeconds, maxBodyBytes } = deps.options;
  const deadlineMs = (form.heavy ? publishTimeoutSeconds : requestTimeoutSeconds) * 1_000;
  app.route({
    method: form.method,
    url: form.url,
    schema: toRouteSchema(form),
    bodyLimit: form.heavy ? maxBodyBytes * HEAVY_BODY_FACTOR : maxBodyBytes,
    onRequest: async (request) => requirePermission(callerOf(request, callers), form),
    preValidation: async (request) => readIntegers(request.query, form.query),
    handler: async (request, reply) => {
      const call = toCall(request, callerOf(request, callers), AbortSignal.timeout(deadlineMs));
      const { body, etag, position, created } = await form.handle(call);
      if (etag !== undefined) void reply.header('etag', etag);
      if (position) void reply.header('chancery-position', positionText(position));
      if (
        form.method === 'GET' &&
        etag !== undefined &&
        isNotModified(request.headers['if-none-match'], etag)
      ) {
        return reply.code(304).send();
      }
      if (form.answer === undefined) return reply.code(204).send();
      return reply
        .code(created ? 201 : 200)
        .type('application/json; charset=utf-8')
        .send(body);
    },
  });
}

/** @throws Failure credential_missing  a route that forgot to authenticate is closed, not open */
function callerOf(request: FastifyRequest, callers: WeakMap<FastifyRequest, ApiToken>): ApiToken {
  const caller = callers.get(request);
  if (!caller) throw new Failure('credential_missing', 'a bearer token is needed');
  return caller;
}

function acceptJsonOnly(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  const parse = async (_request: FastifyRequest, bytes: Buffer): Promise<unknown> => parseJsonBody(bytes);
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, parse);
}

/** Query parameters are text. Where the schema says integer, digits are one; anything else stays and is refused. */
function readIntegers(query: unknown, schema: TSchema | undefined): void {
  const values = query as Record<string, unknown>;
  const properties = (schema as TObject | undefined)?.properties ?? {};
  for (const [name, property] of Object.entries(properties)) {
    const value = values[name];
    const isInteger = 'type' in property && property.type === 'integer';
    if (isInteger && typeof value === 'string' && /^\d{1,15}$/.test(value)) values[name] = Number(value);
  }
}

function methodsOf(endpoints: readonly Endpoint[], url: string): string[] {
  const path = url.split('?')[0]?.split('/') ?? [];
  return endpoints
    .filter((form) => {
      const pattern = form.url.split('/');
      return (
        pattern.length === path.length &&
        pattern.every((part, at) => part.startsWith(':') || part === path[at])
      );
    })
    .map(({ method }) => method);
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** answers without a credential */
    isPublic?: boolean;
  }
}
