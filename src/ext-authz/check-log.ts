/**
 * The log of Checks that were not allowed: who asked for what, and why not. No header, no query, no claim, no body, no
 * certificate, nor anything that quotes them.
 *
 * A denial, and what the caller has done wrong, stand at the level of `authz.logDenied`; what went wrong on our side
 * stands at `warn`. Of each of the two at most so many lines a second: the next line says how many were left out.
 */
import type { DecidedBy, DenyReason } from '../core/decision.ts';
import type { Failure } from '../core/failure.ts';
import { createLineLimit } from '../telemetry/line-limit.ts';
import { type LogFields, type Logger, writesLevel } from '../telemetry/logger.ts';
import type { CheckRequest } from './check-request.ts';
import type { ExtAuthzOptions } from './options.ts';

export interface CheckLog {
  /** @param request  undefined: it could not be read */
  /** @param decidedBy  undefined: no policy was asked */
  denied(
    decisionId: string,
    { reason, decidedBy }: { readonly reason: DenyReason; readonly decidedBy?: DecidedBy },
    request: CheckRequest | undefined,
  ): void;
  failed(decisionId: string, failure: Failure, request: CheckRequest | undefined): void;
}

const LINES_PER_SECOND = 100;
const MAX_TEXT = 512;
const MAX_FRAMES = 6;

export function createCheckLog(logger: Logger, { logDenied = 'debug' }: ExtAuthzOptions): CheckLog {
  const denials = createLineLimit(LINES_PER_SECOND);
  const failures = createLineLimit(LINES_PER_SECOND);
  // Asked once: a Check whose denial nobody reads makes no string of it.
  const level = logDenied !== 'off' && writesLevel(logger, logDenied) ? logDenied : undefined;

  const refuse = (message: string, fields: LogFields, request: CheckRequest | undefined): void => {
    if (level === undefined) return;
    const leftOut = denials.take(performance.now());
    if (leftOut === undefined) return;
    logger[level]({ ...fields, ...describe(request), ...(leftOut > 0 && { leftOut }) }, message);
  };

  return {
    denied: (decisionId, { reason, decidedBy }, request) =>
      refuse('a Check was denied', { decisionId, reason, ...(decidedBy && { decidedBy }) }, request),
    failed(decisionId, failure, request) {
      const { code, detail, cause } = failure;
      if (failure.row.http < 500) {
        refuse('a Check was refused without a decision', { decisionId, code, detail }, request);
        return;
      }
      const leftOut = failures.take(performance.now());
      if (leftOut === undefined) return;
      const fields = { decisionId, code, detail, ...causeOf(cause), ...(leftOut > 0 && { leftOut }) };
      logger.warn({ ...fields, ...describe(request) }, 'a Check could not be decided');
    },
  };
}

/** Never throws: a denial stays one whatever its request looks like. */
function describe(request: CheckRequest | undefined): LogFields {
  if (request === undefined) return {};
  try {
    const { sourcePrincipal } = request;
    return {
      ...textOf('service', request.contextExtension('service')),
      ...textOf('operation', request.contextExtension('operation')),
      ...textOf('policy', request.contextExtension('policy')),
      ...textOf('method', request.method),
      ...textOf('path', request.target.split(/[?#]/, 1)[0]),
      ...(sourcePrincipal.startsWith('spiffe://') && textOf('spiffe', sourcePrincipal)),
    };
  } catch {
    return {};
  }
}

function textOf(name: string, value: string | undefined): LogFields {
  return value === undefined || value === '' ? {} : { [name]: value.slice(0, MAX_TEXT) };
}

/** Where it happened. Libraries hang what they worked on to their errors, and a SyntaxError quotes it. */
export function causeOf(cause: unknown): LogFields {
  if (!(cause instanceof Error)) return cause === undefined ? {} : { cause: typeof cause };
  const { name, message, stack = '' } = cause;
  const frames = stack.split('\n').filter((line) => line.startsWith('    at '));
  const said = cause instanceof SyntaxError ? {} : { message: message.slice(0, MAX_TEXT) };
  return { cause: { name, ...said, frames: frames.slice(0, MAX_FRAMES).map((line) => line.trim()) } };
}
