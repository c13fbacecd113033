/**
 * REST for people and pipelines. A call is authenticated before its body is read; then its form is checked; then
 * its endpoint runs with a deadline. Whatever goes wrong leaves as a problem (RFC 9457).
 */
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { Server as TlsServer } from 'node:tls';
import fastifySwagger from '@fastify/swagger';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { TObject, TSchema } from 'typebox';
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import type { TlsCredentials } from '../core/tls.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { createAdmission } from './admission.ts';
import { acceptBodies } from './body-parsers.ts';
import { type Endpoint, toCall } from './endpoint.ts';
import { measureCalls } from './measures.ts';
import { openApiInfo } from './openapi.ts';
import type { AdminOptions } from './options.ts';
import { type Caller, type OwnCredential, verifiedCertificate } from './own-credential.ts';
import { positionText } from './position-text.ts';
import { isNotModified } from './precondition.ts';
import { answerUnreadable, type Refuse, refuser, SECURITY_HEADERS } from './refusals.ts';
import { toRouteSchema, YAML_MEDIA_TYPE } from './route-schema.ts';
import { requireScope } from './scopes.ts';
import type { ApiToken, TokenState } from './token-state.ts';
import { toYaml } from './yaml-body.ts';

export interface HttpDeps {
  readonly options: AdminOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tokens: TokenState;
  /** undefined: plain HTTP */
  readonly tls?: TlsCredentials;
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
    ...listenerOptions(deps.tls),
    // A long path parameter is refused by its schema, after authentication, and not by the router before it.
    routerOptions: { maxParamLength: MAX_HEADER_BYTES },
    forceCloseConnections: 'idle',
    // Its own 503 is no problem document; a call that came in is served while the server drains.
    return503OnClosing: false,
    ajv: {
      // Nothing is repaired: a wrong type and an unknown member are errors, all of which are told.
      customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: false, allErrors: true },
    },
    frameworkErrors: (error, request, reply) => {
      void refuse(error, request, reply);
    },
    clientErrorHandler: answerUnreadable,
  });
  const refuse: Refuse = refuser({ logger: deps.logger, refusals: measureCalls(app, deps.metrics) });
  followChanges(app.server, deps.tls);
  app.server.maxConnections = deps.options.maxConnections;
  const callers = new WeakMap<FastifyRequest, Caller>();
  const stopping = new AbortController();
  const admit = createAdmission(deps);

  const answerMissing = (request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const allowed = methodsOf(endpoints, request.url);
    if (allowed.length > 0) void reply.header('allow', allowed.join(', '));
    const failure =
      allowed.length > 0
        ? new Failure('request_malformed', `this resource answers ${allowed.join(', ')}`)
        : new Failure('not_found', 'there is no such resource');
    return refuse(failure, request, reply, allowed.length > 0 ? 405 : 404);
  };

  await app.register(fastifySwagger, openApiInfo);
  for (const [name, schema] of Object.entries(components)) app.addSchema({ ...schema, $id: name });
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer));
  acceptBodies(app);

  app.addHook('onRequest', async (request, reply) => {
    reply.headers(SECURITY_HEADERS);
    const { isPublic, own } = request.routeOptions.config;
    if (isPublic) return;
    const { authorization } = request.headers;
    const certificate = () => verifiedCertificate(request.raw.socket);
    callers.set(request, admit({ authorization, remoteAddress: request.ip, certificate }, own));
    // now, and not when the body has been read: nobody wants it, and of some methods Fastify asks for one
    if (request.is404) await answerMissing(request, reply);
  });
  app.setErrorHandler((error, request, reply) => refuse(error, request, reply));

  app.get('/openapi.json', { schema: { hide: true }, config: { isPublic: true } }, async () => app.swagger());
  for (const endpoint of endpoints) addEndpoint(app, endpoint, deps, { callers, stopping: stopping.signal });
  app.addHook('preClose', async () => stopping.abort());
  app.setNotFoundHandler(answerMissing);
  return app;
}

/** Whoever has none, or one of another authority, comes in as before: only renewing needs one. */
const ASKS_FOR_CERTIFICATE = { requestCert: true, rejectUnauthorized: false };

/** The rest of Fastify does not depend on which server is below it, but its types do. */
function listenerOptions(tls: TlsCredentials | undefined): {
  readonly http: { readonly maxHeaderSize: number };
} {
  const http = { maxHeaderSize: MAX_HEADER_BYTES };
  return tls === undefined
    ? { http }
    : ({ https: { ...http, ...tls.context(), ...ASKS_FOR_CERTIFICATE } } as unknown as { http: typeof http });
}

function followChanges(server: object, tls: TlsCredentials | undefined): void {
  if (tls !== undefined && server instanceof TlsServer)
    tls.onChange((context) => server.setSecureContext(context));
}

function addEndpoint(
  app: FastifyInstance,
  form: Endpoint,
  deps: HttpDeps,
  {
    callers,
    stopping,
  }: { readonly callers: WeakMap<FastifyRequest, Caller>; readonly stopping: AbortSignal },
): void {
  const { requestTimeoutSeconds, publishTimeoutSeconds, maxBodyBytes } = deps.options;
  const deadlineMs = (form.heavy ? publishTimeoutSeconds : requestTimeoutSeconds) * 1_000;
  app.route({
    method: form.method,
    url: form.url,
    schema: toRouteSchema(form),
    config: {
      operation: form.operationId,
      takesBundles: form.takesBundles === true,
      speaksYaml: form.speaksYaml === true,
      ...(form.own && { own: form.own }),
    },
    bodyLimit: form.heavy ? maxBodyBytes * HEAVY_BODY_FACTOR : maxBodyBytes,
    onRequest: async (request) => {
      const caller = callerOf(request, callers);
      if (form.scope !== undefined) requireScope(caller, { ...form, scope: form.scope });
    },
    preValidation: async (request) => readIntegers(request.query, form.query),
    handler: async (request, reply) => {
      if (form.events && accepts('text/event-stream', request.headers.accept)) {
        const gone = new AbortController();
        reply.raw.once('close', () => gone.abort());
        const signal = AbortSignal.any([stopping, gone.signal]);
        const events = await form.events(
          toCall(form.operationId, request, callerOf(request, callers), signal),
        );
        return reply.type('text/event-stream').send(Readable.from(events));
      }
      const call = toCall(
        form.operationId,
        request,
        callerOf(request, callers),
        AbortSignal.timeout(deadlineMs),
      );
      const { body, etag, position, created, next } = await form.handle(call);
      if (next !== undefined) void reply.header('link', linkToNext(request.url, next));
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
      if (form.answerMediaType !== undefined && body instanceof Uint8Array) {
        return reply.type(form.answerMediaType).send(Buffer.from(body));
      }
      const status = created ? 201 : 200;
      if (form.speaksYaml && accepts(YAML_MEDIA_TYPE, request.headers.accept)) {
        return reply
          .code(status)
          .type(YAML_MEDIA_TYPE)
          .send(Buffer.from(toYaml(body)));
      }
      return reply.code(status).type('application/json; charset=utf-8').send(body);
    },
  });
}

/**
 * Who calls, as the endpoint's credential says; the types of endpoints are forgotten, and the caller's with them.
 *
 * @throws Failure credential_missing  a route that forgot to authenticate is closed, not open
 */
function callerOf(request: FastifyRequest, callers: WeakMap<FastifyRequest, Caller>): ApiToken {
  const caller = callers.get(request);
  if (!caller) throw new Failure('credential_missing', 'a bearer token is needed');
  return caller as ApiToken;
}

/** Without a weight: whoever does not name it gets JSON. */
function accepts(mediaType: string, accept = ''): boolean {
  return accept.split(',').some((each) => each.trim().toLowerCase() === mediaType);
}

/** RFC 8288; the rest of the query stays as it was sent. */
function linkToNext(url: string, cursor: string): string {
  const [path = '', query] = url.split('?', 2);
  const parameters = new URLSearchParams(query);
  parameters.set('cursor', cursor);
  return `<${path}?${parameters}>; rel="next"`;
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
    /** who may call, instead of an API token */
    own?: OwnCredential<Caller>;
    /** body and answer may be YAML */
    speaksYaml?: boolean;
    /** the body may be an OPA bundle */
    takesBundles?: boolean;
  }
}
