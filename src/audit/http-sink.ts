/** Uploads as OPA does them: `POST <url>/logs` with a gzip JSON array; 2xx means that it was taken. */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { type Chunks, createChunks, type Delivery } from './chunks.ts';
import { codeOf } from './console-sink.ts';
import type { HttpSinkOptions } from './options.ts';
import type { LogItem, Sink, SinkDeps } from './sink.ts';

const gzipAsync = promisify(gzip);
const MAX_ITEMS = 10_000;
/** The request itself is at fault, and would be again. Not 401, 403, 404: those are mended at the other end. */
const REFUSED: ReadonlySet<number> = new Set([400, 405, 406, 411, 413, 414, 415, 422, 431]);

export interface HttpSinkDeps extends SinkDeps {
  readonly token?: string | undefined;
}

export function createHttpSink(options: HttpSinkOptions, deps: HttpSinkDeps): Sink {
  const chunks: Chunks = createChunks({
    maxItems: MAX_ITEMS,
    maxBytes: options.maxChunkBytes,
    maxDelayMs: options.maxDelayMs,
    settle: deps.settle,
    deliver: (items, signal) => upload(items, options, deps, signal),
  });
  return { name: 'http', ...chunks };
}

async function upload(
  items: readonly LogItem[],
  { url, timeoutMs }: HttpSinkOptions,
  { token, warn }: HttpSinkDeps,
  signal: AbortSignal,
): Promise<Delivery> {
  const body = await gzipAsync(`[${items.map(({ line }) => line).join(',')}]`);
  try {
    const response = await fetch(`${url.replace(/\/+$/, '')}/logs`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'content-encoding': 'gzip',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
      body,
      // a token is not carried to another place
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    await response.body?.cancel();
    if (response.ok) return 'delivered';
    warn('decisions were not taken', { status: response.status, events: items.length });
    return REFUSED.has(response.status) ? 'refused' : 'retry';
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    warn('decisions cannot be uploaded', { error: codeOf(cause), events: items.length });
    return 'retry';
  }
}
