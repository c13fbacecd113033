/**
 * A Failure says that no decision, or no change, could be made. A denial is a value, never a Failure.
 *
 * One row per code; `grpc/status.ts`, `ext-authz/check-response.ts` and `admin/problem.ts` render the same row.
 */
interface FailureRow {
  /** gRPC status code (google.rpc.Code) */
  readonly grpc: number;
  /** HTTP status (RFC 9110) */
  readonly http: number;
  /** HTTP status in the data path where it differs */
  readonly dataPlaneHttp?: number;
  readonly retry: boolean;
  readonly title: string;
}

export const FAILURES = {
  request_malformed: { grpc: 3, http: 400, retry: false, title: 'The request is malformed' },
  credential_missing: { grpc: 16, http: 401, retry: false, title: 'A credential is needed' },
  credential_invalid: { grpc: 16, http: 401, retry: false, title: 'The credential is not valid' },
  credential_expired: { grpc: 16, http: 401, retry: false, title: 'The credential has expired' },
  credential_revoked: { grpc: 16, http: 401, retry: false, title: 'The credential has been revoked' },
  credential_ambiguous: { grpc: 16, http: 401, retry: false, title: 'More than one credential was shown' },
  issuer_unknown: { grpc: 16, http: 401, retry: false, title: 'The issuer is not known' },
  issuer_unavailable: { grpc: 14, http: 503, retry: true, title: 'The keys of the issuer cannot be read' },
  peer_mismatch: { grpc: 7, http: 403, retry: false, title: 'The certificate and the peer disagree' },
  permission_denied: { grpc: 7, http: 403, retry: false, title: 'The credential does not allow this' },
  policy_not_loaded: { grpc: 14, http: 503, retry: true, title: 'No policy is loaded for this request' },
  position_not_reached: { grpc: 14, http: 503, retry: true, title: 'This replica is behind the journal' },
  stale: { grpc: 14, http: 503, retry: true, title: 'This replica has lost touch with the journal' },
  policy_failed: { grpc: 13, http: 500, retry: false, title: 'The policy could not be evaluated' },
  deadline_exceeded: {
    grpc: 4,
    http: 504,
    dataPlaneHttp: 503,
    retry: true,
    title: 'The deadline has passed',
  },
  overloaded: { grpc: 8, http: 503, retry: true, title: 'Too much work is in progress' },
  rate_limited: { grpc: 8, http: 429, retry: true, title: 'Too many calls' },
  store_unavailable: { grpc: 14, http: 503, retry: true, title: 'The store cannot be reached' },
  store_mismatch: { grpc: 14, http: 503, retry: false, title: 'The store belongs to another instance' },
  store_diverged: { grpc: 14, http: 503, retry: false, title: 'The store has lost entries' },
  journal_too_new: { grpc: 14, http: 503, retry: false, title: 'The journal was written by a newer program' },
  not_found: { grpc: 5, http: 404, retry: false, title: 'There is no such object' },
  already_exists: { grpc: 6, http: 409, retry: false, title: 'The object exists already' },
  object_changed: { grpc: 10, http: 412, retry: false, title: 'The object has changed in the meantime' },
  precondition_required: { grpc: 9, http: 428, retry: false, title: 'If-Match or If-None-Match is needed' },
  idempotency_key_reused: {
    grpc: 9,
    http: 422,
    retry: false,
    title: 'The Idempotency-Key was used for another request',
  },
  policy_rejected: { grpc: 9, http: 422, retry: false, title: 'The policy was refused' },
  registry_rejected: { grpc: 9, http: 422, retry: false, title: 'The change was refused' },
  snapshot_inconsistent: { grpc: 9, http: 422, retry: false, title: 'The configuration contradicts itself' },
  internal: { grpc: 13, http: 500, retry: false, title: 'An internal error' },
} as const satisfies Record<string, FailureRow>;

export type FailureCode = keyof typeof FAILURES;

/** One thing that is wrong, and where: a JSON Pointer into the request, or a place in a file. */
export interface FailureIssue {
  readonly message: string;
  readonly code?: string;
  readonly pointer?: string;
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
}

interface FailureOptions {
  /** for logs only, never shown */
  readonly cause?: unknown;
  readonly issues?: readonly FailureIssue[];
  /** when trying again may help; where it is known */
  readonly retryAfterSeconds?: number;
}

export class Failure extends Error {
  override readonly name = 'Failure';
  readonly code: FailureCode;
  /** safe to show: no credential, no path of the machine, no stack */
  readonly detail: string;
  readonly issues: readonly FailureIssue[];
  readonly retryAfterSeconds: number | undefined;

  constructor(code: FailureCode, detail: string, options: FailureOptions = {}) {
    super(`${code}: ${detail}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = detail;
    this.issues = options.issues ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  get row(): FailureRow {
    return FAILURES[this.code];
  }

  /** The only funnel for what other code throws, strings and plain objects included. */
  static from(
    thrown: unknown,
    code: FailureCode = 'internal',
    detail: string = FAILURES[code].title,
  ): Failure {
    return thrown instanceof Failure ? thrown : new Failure(code, detail, { cause: thrown });
  }
}
