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

/** What becomes of a header of that name that is there already: Envoy's `HeaderAppendAction`. */
export type AppendAction =
  | 'append_if_exists_or_add'
  | 'add_if_absent'
  | 'overwrite_if_exists_or_add'
  | 'overwrite_if_exists';

/**
 * Several values of one name stand as several pairs, in order. Without an action the first one takes the place of
 * what is there, and the others join it.
 */
export type HeaderPair = readonly [name: string, value: string, action?: AppendAction];

/** What the proxy must do with an allowed request. */
export interface AllowObligations {
  readonly requestHeaders: readonly HeaderPair[];
  readonly requestHeadersToRemove: readonly string[];
  readonly responseHeaders: readonly HeaderPair[];
  readonly queryParametersToSet: readonly (readonly [name: string, value: string])[];
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
      /** the policy said `true` and no more: nothing is asked of the proxy */
      readonly bare?: boolean;
      readonly obligations: AllowObligations;
      readonly dynamicMetadata: JsonObject;
    }
  | {
      readonly effect: 'deny';
      readonly reason: DenyReason;
      /** the policy said `false` and no more: the proxy's own answer does */
      readonly bare?: boolean;
      readonly response: DenyResponse;
      readonly dynamicMetadata: JsonObject;
      /** undefined: no policy was asked */
      readonly decidedBy?: DecidedBy;
    };
