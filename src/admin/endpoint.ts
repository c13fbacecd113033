/**
 * One operation of the API as a value: what it takes, what it answers, what it does. HTTP is converted here, once
 * on the way in and once on the way out; handlers see neither request nor reply.
 */
import type { Static, TObject, TSchema } from 'typebox';
import type { FailureCode } from '../core/failure.ts';
import type { Position } from '../core/position.ts';
import type { Caller, OwnCredential } from './own-credential.ts';
import { type Precondition, parsePrecondition } from './precondition.ts';
import type { Scope } from './scopes.ts';
import type { ApiToken } from './token-state.ts';

/** A call, authenticated and of the right form. */
export interface Call<P, Q, B, C extends Caller = ApiToken> {
  /** the operationId of its endpoint */
  readonly operation: string;
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly caller: C;
  /** of a change. @throws Failure request_malformed */
  readonly precondition: () => Precondition;
  readonly idempotencyKey: string | undefined;
  /** the deadline of this call */
  readonly signal: AbortSignal;
}

export interface Answer<R> {
  readonly body: R;
  /** entity tag of the object that the answer shows */
  readonly etag?: string;
  /** whether the object was not there before: 201 */
  readonly created?: boolean;
  /** where the change is in the journal */
  readonly position?: Position;
  /** cursor of the next page of a list: becomes the header field Link */
  readonly next?: string | undefined;
}

/** What a call with the same Idempotency-Key left in the journal. */
export interface EarlierCall {
  readonly position: Position;
  /** when it was appended; RFC 3339 */
  readonly at: string;
}

type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';

interface EndpointForm<P extends TSchema, Q extends TSchema, B extends TSchema, R extends TSchema> {
  readonly operationId: string;
  readonly summary: string;
  readonly tag: string;
  /** what the token must hold */
  readonly scope: Scope;
  readonly method: Method;
  /** Fastify's form: `/v1/services/:name` */
  readonly url: string;
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  /** form of what it answers; none: an empty 204 */
  readonly answer?: R;
  /** of an answer that is bytes and no JSON */
  readonly answerMediaType?: string;
  /** whether the body may come as an OPA bundle, too: it is parsed to the same form */
  readonly takesBundles?: boolean;
  /** whether body and answer may be YAML, too */
  readonly speaksYaml?: boolean;
  /** whether it may say what it would do, and do nothing */
  readonly dryRun?: boolean;
  /** whether the answer shows one object with an entity tag */
  readonly tagged?: boolean;
  /** whether it changes an object that may be there already, so that it takes, or needs, If-Match or If-None-Match */
  readonly condition?: 'needed' | 'possible';
  /** the failures that are its own, besides those that every call may meet */
  readonly failures?: readonly FailureCode[];
  /** the one operation that a one-time token may be used for */
  readonly oneTimeToken?: boolean;
  /** it publishes: a bigger body, a longer deadline */
  readonly heavy?: boolean;
  readonly handle: (call: Call<Static<P>, Static<Q>, Static<B>>) => Promise<Answer<Static<R>>>;
  /** what a call has answered that comes again with its Idempotency-Key; none: already_exists */
  readonly replay?: (call: Call<Static<P>, Static<Q>, Static<B>>, earlier: EarlierCall) => Answer<Static<R>>;
  /**
   * What a caller that accepts `text/event-stream` gets instead: the text of the stream, in pieces. The signal of
   * this call says that the caller has gone or the server stops; the deadline is the endpoint's own.
   */
  readonly events?: (call: Call<Static<P>, Static<Q>, Static<B>>) => Promise<AsyncIterable<string>>;
}

/** An endpoint whose types have been checked and forgotten. */
export type Endpoint = Omit<EndpointForm<TSchema, TSchema, TSchema, TSchema>, 'scope'> & {
  /** undefined: `own` says who may call */
  readonly scope?: Scope;
  readonly own?: OwnCredential<Caller>;
};

export function endpoint<
  P extends TSchema = TObject,
  Q extends TSchema = TObject,
  B extends TSchema = TObject,
  R extends TSchema = TSchema,
>(form: EndpointForm<P, Q, B, R>): Endpoint {
  // The validator has proven what the handler's types say before it is called.
  return form as unknown as Endpoint;
}

type OwnEndpointForm<C extends Caller, P extends TSchema, B extends TSchema, R extends TSchema> = Omit<
  EndpointForm<P, TObject, B, R>,
  'scope' | 'handle' | 'replay' | 'events' | 'oneTimeToken'
> & {
  /** who may call, instead of an API token with a scope */
  readonly own: OwnCredential<C>;
  readonly handle: (call: Call<Static<P>, object, Static<B>, C>) => Promise<Answer<Static<R>>>;
};

/** An endpoint that no API token opens. Its credential makes a call unique: it knows no Idempotency-Key. */
export function ownEndpoint<
  C extends Caller,
  P extends TSchema = TObject,
  B extends TSchema = TObject,
  R extends TSchema = TSchema,
>(form: OwnEndpointForm<C, P, B, R>): Endpoint {
  return form as unknown as Endpoint;
}

/** What a call needs of the HTTP request. */
interface HttpCall {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

export function toCall(
  operation: string,
  http: HttpCall,
  caller: ApiToken,
  signal: AbortSignal,
): Call<unknown, unknown, unknown> {
  const field = (name: string): string | undefined => {
    const value = http.headers[name];
    return typeof value === 'string' ? value : value?.join(', ');
  };
  return {
    operation,
    params: http.params,
    query: http.query,
    body: http.body,
    caller,
    precondition: () =>
      parsePrecondition({ ifMatch: field('if-match'), ifNoneMatch: field('if-none-match') }),
    idempotencyKey: field('idempotency-key'),
    signal,
  };
}
