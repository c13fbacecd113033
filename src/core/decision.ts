import type { JsonObject } from './json.ts';

/** A closed list: dashboards and tests rely on it. */
export const DENY_REASONS = {
  authentication_required: 401,
  no_grant: 403,
  policy_denied: 403,
  policy_undefined: 403,
  service_disabled: 403,
  app_suspended: 403,
  selector_mismatch: 403,
} as const satisfies Record<string, number>;
export type DenyReason = keyof typeof DENY_REASONS;

/** Several values of one name stand as several pairs, in order. */
export type HeaderPair = readonly [name: string, value: string];

/** What the proxy must do with an allowed request. */
export interface AllowObligations {
  readonly requestHeaders: readonly HeaderPair[];
  readonly requestHeadersToRemove: readonly string[];
  readonly responseHeaders: readonly HeaderPair[];
  readonly queryParametersToSet: readonly HeaderPair[];
  readonly queryParametersToRemove: readonly string[];
}

/** What the proxy answers to a denied request. */
export interface DenyResponse {
  /** HTTP status */
  readonly status: number;
  readonly headers: readonly HeaderPair[];
  readonly body: string;
}

/** The revision that was live, and the journal entry that made it so. */
export interface DecidedBy {
  readonly policy: string;
  readonly revision: string;
  readonly seq: number;
}

export type Decision =
  | {
      readonly effect: 'allow';
      readonly reason: 'policy_allowed';
      readonly obligations: AllowObligations;
      readonly dynamicMetadata: JsonObject;
    }
  | {
      readonly effect: 'deny';
      readonly reason: DenyReason;
      readonly response: DenyResponse;
      readonly dynamicMetadata: JsonObject;
      /** undefined: no policy was asked */
      readonly decidedBy?: DecidedBy;
    };
