/**
 * Typed client of the admin API: `openapi-fetch` over types generated from the OpenAPI document, with a deadline per
 * call, retries where they are safe, and problems as errors.
 */
import createFetchClient, { type Client } from 'openapi-fetch';
import { ApiError, toApiError } from './api-error.ts';
import type { paths } from './schema.d.ts';

export type AdminClient = Client<paths>;

const MAX_RETRY_AFTER_SECONDS = 10;

export interface ClientOptions {
  /** `http://127.0.0.1:8181` */
  readonly baseUrl: string;
  /** bearer token; left out where the connection says who calls */
  readonly token?: string;
  /** of one attempt; default 35 s, more than the server takes to publish */
  readonly timeoutMs?: number;
  /** attempts in all; default 3 */
  readonly maxAttempts?: number;
  /** mean pause before the second attempt, doubled each time; default 200 */
  readonly retryMs?: number;
  /** 0 ≤ x < 1; default Math.random */
  readonly random?: () => number;
  /** default: the global one */
  readonly fetch?: (request: Request) => Promise<Response>;
}

/**
 * Every method resolves with `{data, response}` of a success.
 *
 * @throws ApiError  for every answer that is none, and (`status` 0) when there is no answer
 */
export function createClient(options: ClientOptions): AdminClient {
  const client = createFetchClient<paths>({
    baseUrl: options.baseUrl,
    ...(options.token !== undefined && { headers: { authorization: `Bearer ${options.token}` } }),
    fetch: (request) => fetchSafely(request, options),
    // A redirect would carry the token to where nobody meant it to go.
    redirect: 'error',
  });
  client.use({
    onRequest({ request }) {
      if (request.method === 'POST' && !request.headers.has('idempotency-key')) {
        request.headers.set('idempotency-key', crypto.randomUUID());
      }
    },
  });
  return client;
}

async function fetchSafely(request: Request, options: ClientOptions): Promise<Response> {
  const { maxAttempts = 3, retryMs = 200, random = Math.random } = options;
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await attemptOnce(request, options);
    if (outcome instanceof Response) return outcome;
    if (attempt >= maxAttempts || !mayRepeat(request, outcome)) throw outcome;
    const backoffMs = retryMs * 2 ** (attempt - 1) * (0.5 + random());
    const pauseMs = Math.max(backoffMs, (outcome.retryAfterSeconds ?? 0) * 1_000);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

async function attemptOnce(request: Request, options: ClientOptions): Promise<Response | ApiError> {
  const { timeoutMs = 35_000, fetch: send = fetch } = options;
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(timeoutMs)]);
  try {
    const response = await send(new Request(request.clone(), { signal }));
    return response.ok || response.status === 304 ? response : await toApiError(response);
  } catch (cause) {
    if (request.signal.aborted) throw cause;
    const detail = signal.aborted ? 'the call took too long' : 'the admin API cannot be reached';
    return new ApiError({ status: 0, code: 'unreachable', detail }, { cause });
  }
}

/**
 * A read, and a POST with its Idempotency-Key, may be sent again whatever became of it. A PUT or DELETE may not: the
 * first one may have been done, and the second would be told that the object has changed. `overloaded` and
 * `rate_limited` say that nothing was done. Whoever is told to wait for longer than this client waits is told so.
 */
function mayRepeat(request: Request, { status, code, retryAfterSeconds = 0 }: ApiError): boolean {
  if (retryAfterSeconds > MAX_RETRY_AFTER_SECONDS) return false;
  if (code === 'overloaded' || code === 'rate_limited') return true;
  const repeatable = request.method === 'GET' || request.method === 'POST';
  return repeatable && (status === 0 || status === 503 || status === 504);
}
