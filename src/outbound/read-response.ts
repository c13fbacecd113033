/** A response with its body, inflated and not larger than it may be. */
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Failure } from '../core/failure.ts';
import type { Received } from './received.ts';

interface ReadOptions {
  readonly mayInflate: boolean;
  readonly maxBytes: number;
}

/**
 * @param mayInflate  gzip was asked for here, and not by the policy
 * @throws Failure policy_failed  it is too large
 */
export async function readResponse(
  response: IncomingMessage,
  { mayInflate, maxBytes }: ReadOptions,
  signal: AbortSignal,
): Promise<Received> {
  const headers = toLists(response.rawHeaders);
  const { statusCode = 0, statusMessage = '' } = response;
  const isInflated = mayInflate && headers.get('content-encoding')?.[0]?.toLowerCase() === 'gzip';
  const body = await readAll(isInflated ? inflate(response) : response, maxBytes, signal);
  if (isInflated) for (const name of ['content-encoding', 'content-length']) headers.delete(name);
  const status = statusMessage === '' ? String(statusCode) : `${statusCode} ${statusMessage}`;
  return { status, statusCode, headers, body };
}

function inflate(response: IncomingMessage): Readable {
  const inflated = createGunzip();
  response.on('error', (error) => inflated.destroy(error));
  return response.pipe(inflated);
}

async function readAll(stream: Readable, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  const onAbort = (): void => void stream.destroy(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBytes)
        throw new Failure('policy_failed', `http.send got a response of more than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
  return Buffer.concat(chunks);
}

/** Go keeps for itself what says how a message was cut, and that the connection ends. */
function toLists(rawHeaders: readonly string[]): Map<string, string[]> {
  const lists = new Map<string, string[]>();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    const value = rawHeaders[at + 1] ?? '';
    if (name === 'transfer-encoding' || name === 'trailer') continue;
    if (name === 'connection' && /(?:^|[, \t])close(?:$|[, \t])/i.test(value)) continue;
    lists.set(name, [...(lists.get(name) ?? []), value]);
  }
  return lists;
}
