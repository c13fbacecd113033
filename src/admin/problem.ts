/**
 * Failures as `application/problem+json` (RFC 9457). The only renderer of a Failure in this room: what is not in
 * `detail` or `issues` is never shown.
 */
import { type Static, Type } from 'typebox';
import { FAILURES, type Failure } from '../core/failure.ts';

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

/** A caller that made this many mistakes has enough to read. */
const MAX_ISSUES = 100;
const RETRY_AFTER_SECONDS = 1;

const issueSchema = Type.Object(
  {
    message: Type.String(),
    code: Type.Optional(Type.String()),
    pointer: Type.Optional(Type.String({ description: 'JSON Pointer (RFC 6901) into the request body' })),
    file: Type.Optional(Type.String({ description: 'module of the policy' })),
    line: Type.Optional(Type.Integer({ minimum: 0 })),
    column: Type.Optional(Type.Integer({ minimum: 0 })),
  },
  { additionalProperties: false },
);

export const problemSchema = Type.Object(
  {
    type: Type.String({ description: 'urn:chancery:problem: and the code' }),
    title: Type.String({ description: 'what the code means, for people' }),
    status: Type.Integer(),
    detail: Type.String(),
    instance: Type.String({ description: 'names this answer in the log' }),
    code: Type.String({ description: 'what programs read' }),
    errors: Type.Optional(Type.Array(issueSchema)),
  },
  { additionalProperties: false },
);
export type Problem = Static<typeof problemSchema>;

interface RenderedProblem {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Problem;
}

/**
 * @param requestId  UUID of the request; becomes `instance`
 * @param status     HTTP status where the protocol asks for another than the code's (405, 413, 415 …)
 */
export function toProblem(
  failure: Failure,
  requestId: string,
  status: number = failure.row.http,
): RenderedProblem {
  const errors = failure.issues.slice(0, MAX_ISSUES).map((issue) => ({ ...issue }));
  return {
    status,
    headers: headersOf(failure, status),
    body: {
      type: `urn:chancery:problem:${failure.code}`,
      title: failure.row.title,
      status,
      detail: failure.detail,
      instance: `urn:uuid:${requestId}`,
      code: failure.code,
      ...(errors.length > 0 && { errors }),
    },
  };
}

/** RFC 6750, 3: no error code where the request showed no credential at all. */
function headersOf({ code, retryAfterSeconds }: Failure, status: number): Record<string, string> {
  if (status === 401) {
    return { 'www-authenticate': code === 'credential_missing' ? 'Bearer' : 'Bearer error="invalid_token"' };
  }
  const isRetried = FAILURES[code].retry && (status === 503 || status === 429);
  return isRetried ? { 'retry-after': String(retryAfterSeconds ?? RETRY_AFTER_SECONDS) } : {};
}
