import type { components } from './schema.d.ts';

type Problem = components['schemas']['Problem'];

/** What the admin API answered instead of a success. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** HTTP status; 0: there was no answer */
  readonly status: number;
  /** `code` of the problem; `unreachable` when there was no answer, `unknown` when it was not a problem */
  readonly code: string;
  readonly detail: string;
  /** one per thing that is wrong: a JSON Pointer into the request, or file, line and column */
  readonly errors: NonNullable<Problem['errors']>;
  /** when trying again may help; undefined: the server did not say */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    problem: Pick<Problem, 'status' | 'code' | 'detail' | 'errors'> & { readonly retryAfterSeconds?: number },
    options?: ErrorOptions,
  ) {
    super(`${problem.code}: ${problem.detail}`, options);
    this.status = problem.status;
    this.code = problem.code;
    this.detail = problem.detail;
    this.errors = problem.errors ?? [];
    this.retryAfterSeconds = problem.retryAfterSeconds;
  }
}

export async function toApiError(response: Response): Promise<ApiError> {
  const { status } = response;
  const body: unknown = await response.json().catch(() => undefined);
  return isProblem(body)
    ? new ApiError({ ...body, status, ...retryAfterOf(response) })
    : new ApiError({ status, code: 'unknown', detail: `the answer was ${status} without a problem` });
}

/** Seconds only: the server of this client sends no date. */
function retryAfterOf(response: Response): { readonly retryAfterSeconds?: number } {
  const value = response.headers.get('retry-after') ?? '';
  return /^\d{1,9}$/.test(value) ? { retryAfterSeconds: Number(value) } : {};
}

function isProblem(body: unknown): body is Problem {
  return (
    typeof body === 'object' &&
    body !== null &&
    'code' in body &&
    typeof body.code === 'string' &&
    'detail' in body
  );
}
