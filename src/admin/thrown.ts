/** Whatever a call threw, as a Failure and, where HTTP has a better word, its status. */
import { Failure } from '../core/failure.ts';
import { type SchemaError, toIssues } from './validation-issues.ts';

interface Refusal {
  readonly failure: Failure;
  /** undefined: the code's own */
  readonly status?: number;
}

/** The part of Fastify's own errors that is used here. */
interface HttpError {
  readonly code?: unknown;
  readonly statusCode?: unknown;
  readonly validation?: readonly SchemaError[];
  readonly validationContext?: string;
}

/** Fixed texts: Fastify's own quote the request. */
const HTTP_DETAILS: Readonly<Record<number, string>> = {
  400: 'the request cannot be read',
  404: 'there is no such resource',
  413: 'the body is larger than this resource takes',
  415: 'the media type of the body is not one that this resource takes',
};

export function fromThrown(thrown: unknown): Refusal {
  if (thrown instanceof Failure) return { failure: thrown };
  if (isTimeout(thrown)) {
    return { failure: new Failure('deadline_exceeded', 'the call took too long; its outcome is unknown') };
  }
  const { code, statusCode, validation, validationContext = 'body' } = (thrown ?? {}) as HttpError;
  if (validation) {
    const issues = toIssues(validation, validationContext);
    return {
      failure: new Failure('request_malformed', 'the request does not have the right form', { issues }),
    };
  }
  if (typeof code === 'string' && code.startsWith('FST_ERR_') && isClientError(statusCode)) {
    const detail = HTTP_DETAILS[statusCode] ?? 'the request was refused';
    const failure = new Failure(statusCode === 404 ? 'not_found' : 'request_malformed', detail, {
      cause: thrown,
    });
    return { failure, status: statusCode };
  }
  return { failure: Failure.from(thrown) };
}

function isTimeout(thrown: unknown): boolean {
  return thrown instanceof DOMException && (thrown.name === 'TimeoutError' || thrown.name === 'AbortError');
}

function isClientError(status: unknown): status is number {
  return typeof status === 'number' && status >= 400 && status < 500;
}
