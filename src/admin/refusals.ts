/** How a refusal leaves: rendered, logged, and sent; also for what never became a request. */
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Failure } from '../core/failure.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Count } from '../telemetry/metrics.ts';
import { PROBLEM_MEDIA_TYPE, toProblem } from './problem.ts';
import { fromThrown } from './thrown.ts';
import { claimedTokenId } from './tokens.ts';

export const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
} as const;

/** @param status  where the protocol has a better word than the code */
export type Refuse = (
  thrown: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  status?: number,
) => FastifyReply;

export function refuser(deps: { readonly logger: Logger; readonly refusals: Count }): Refuse {
  return (thrown, request, reply, status) => {
    const refusal = fromThrown(thrown);
    const problem = toProblem(refusal.failure, request.id, status ?? refusal.status);
    logProblem(problem.status, refusal.failure, request, deps.logger);
    deps.refusals.add({ code: refusal.failure.code });
    return (
      reply
        .code(problem.status)
        .headers({ ...SECURITY_HEADERS, ...problem.headers })
        .type(PROBLEM_MEDIA_TYPE)
        // as bytes: to a string Fastify adds a charset, which this media type does not have (RFC 8259, 11)
        .send(Buffer.from(JSON.stringify(problem.body)))
    );
  };
}

/**
 * Neither the URL as sent nor any header is logged: either may hold a credential that was put there by mistake. Each
 * call that was refused for who made it is one line of kind `security`.
 */
function logProblem(status: number, failure: Failure, request: FastifyRequest, logger: Logger): void {
  const fields = {
    requestId: request.id,
    code: failure.code,
    status,
    method: request.method,
    route: request.routeOptions.url ?? 'none',
    remoteAddress: request.ip,
  };
  if (status === 401 || status === 403 || status === 429) {
    const claimed = claimedTokenId(request.headers.authorization);
    const token = claimed === undefined ? {} : { claimedTokenId: claimed };
    logger.warn({ kind: 'security', ...fields, ...token }, 'refused a call of the admin API');
  } else if (status >= 500) logger.error({ ...fields, err: failure }, 'a call of the admin API failed');
}

/** What never became a request: node:http could not parse it, or it took too long. */
export function answerUnreadable(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const status = UNREADABLE[error.code ?? ''] ?? 400;
  const failure = new Failure('request_malformed', 'this is not an HTTP request that can be read');
  const body = JSON.stringify(toProblem(failure, randomUUID(), status).body);
  socket.end(
    `HTTP/1.1 ${status} Refused\r\nconnection: close\r\ncontent-type: ${PROBLEM_MEDIA_TYPE}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

const UNREADABLE: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};
