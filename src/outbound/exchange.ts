/** One HTTP exchange with its redirects, each of which must be allowed as the first address was. */
import http, { type ClientRequest, type IncomingMessage } from 'node:http';
import https from 'node:https';
import { Failure } from '../core/failure.ts';
import type { AllowList } from './allow-list.ts';
import { readResponse } from './read-response.ts';
import type { Received } from './received.ts';
import { SendError } from './send-error.ts';
import type { SendRequest } from './send-request.ts';

export interface ExchangeLimits {
  readonly allowList: AllowList;
  readonly maxResponseBytes: number;
  readonly maxRedirects: number;
}

export interface Exchange {
  /**
   * @throws SendError  of the network: nobody answers, a redirect leads elsewhere, the signal
   * @throws Failure policy_failed  the response is too large
   */
  send(request: SendRequest, signal: AbortSignal): Promise<Received>;
  close(): void;
}

const IDLE_MS = 30_000;
const MOST_IDLE = 32;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const AS_GET: ReadonlySet<number> = new Set([301, 302, 303]);
const REPEATABLE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);
/** They are for the host that was asked, and no other one. */
const OF_THE_HOST = ['authorization', 'cookie', 'cookie2', 'www-authenticate', 'proxy-authorization', 'host'];
const USER_AGENT = 'Chancery http.send';

export function createExchange(limits: ExchangeLimits): Exchange {
  const idle = { keepAlive: true, maxFreeSockets: MOST_IDLE, timeout: IDLE_MS };
  const agents = { http: new http.Agent(idle), https: new https.Agent(idle) };

  async function receive(
    response: IncomingMessage,
    request: SendRequest,
    signal: AbortSignal,
  ): Promise<Received> {
    const read = { mayInflate: acceptsGzip(request), maxBytes: limits.maxResponseBytes };
    try {
      return await readResponse(response, read, signal);
    } catch (thrown) {
      throw toSendError(thrown, request);
    } finally {
      response.destroy();
    }
  }

  async function send(request: SendRequest, signal: AbortSignal): Promise<Received> {
    let current = request;
    for (let redirects = 0; ; redirects += 1) {
      const response = await open(current, agents, signal);
      const { statusCode = 0, headers } = response;
      const next =
        request.followsRedirects && REDIRECTS.has(statusCode) && headers.location !== undefined
          ? URL.parse(headers.location, current.url)
          : undefined;
      if (next === undefined) return receive(response, current, signal);
      response.destroy();
      if (next === null) throw new SendError('failed to parse Location header', true);
      if (!limits.allowList.allows(next)) throw new SendError(`disallowed host: ${next.host}`, true);
      if (redirects === limits.maxRedirects)
        throw new SendError(`stopped after ${limits.maxRedirects} redirects`, true);
      current = redirected(current, next, statusCode);
    }
  }

  return {
    send,
    close() {
      agents.http.destroy();
      agents.https.destroy();
    },
  };
}

function redirected(request: SendRequest, url: URL, statusCode: number): SendRequest {
  const headers = { ...request.headers };
  if (url.host !== request.url.host || url.protocol !== request.url.protocol)
    for (const name of OF_THE_HOST) delete headers[name];
  if (!AS_GET.has(statusCode) || request.method === 'GET' || request.method === 'HEAD')
    return { ...request, url, headers };
  for (const name of Object.keys(headers)) if (name.startsWith('content-')) delete headers[name];
  return { ...request, url, headers, method: 'GET', body: Buffer.alloc(0) };
}

interface Agents {
  readonly http: http.Agent;
  readonly https: https.Agent;
}

/** A connection that the other end has closed in the meantime is no answer: what may be asked twice is asked on another one. */
async function open(request: SendRequest, agents: Agents, signal: AbortSignal): Promise<IncomingMessage> {
  for (let attempt = 0; ; attempt += 1) {
    const sent = start(request, agents, signal);
    try {
      return await responseTo(sent);
    } catch (thrown) {
      const isStale = sent.reusedSocket && REPEATABLE.has(request.method) && attempt === 0;
      if (!isStale || signal.aborted) throw toSendError(thrown, request);
    }
  }
}

function start(request: SendRequest, agents: Agents, signal: AbortSignal): ClientRequest {
  const { method, url, headers, body, tls } = request;
  const isEmpty = body.length === 0 && REPEATABLE.has(method);
  const options = {
    method,
    signal,
    headers: {
      'user-agent': USER_AGENT,
      ...(acceptsGzip(request) && { 'accept-encoding': 'gzip' }),
      ...headers,
      ...(!isEmpty && { 'content-length': String(body.length) }),
    },
  };
  const sent =
    url.protocol === 'http:'
      ? http.request(url, { ...options, agent: agents.http })
      : https.request(url, {
          ...options,
          agent: tls === undefined ? agents.https : false,
          ...(tls?.secureContext && { secureContext: tls.secureContext }),
          ...(tls?.servername !== undefined && { servername: tls.servername }),
          ...(tls !== undefined && { rejectUnauthorized: tls.rejectUnauthorized }),
        });
  sent.end(body);
  return sent;
}

function responseTo(sent: ClientRequest): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  sent.once('response', resolve);
  // it may come again after the response has begun
  sent.on('error', reject);
  // without an error, when the other end wants to speak another protocol
  sent.once('close', () => reject(new Error('the connection was closed')));
  return promise;
}

/** As Go does, where the policy has not said how it wants the body. */
function acceptsGzip({ method, headers }: SendRequest): boolean {
  return method !== 'HEAD' && headers['accept-encoding'] === undefined && headers['range'] === undefined;
}

function toSendError(thrown: unknown, { method, url }: SendRequest): Error {
  if (thrown instanceof SendError || thrown instanceof Failure) return thrown;
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  const operation = `${method.charAt(0)}${method.slice(1).toLowerCase()}`;
  return new SendError(`${operation} ${JSON.stringify(url.origin + url.pathname)}: ${why}`, true);
}
