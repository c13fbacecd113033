import type { JsonObject } from './json.ts';

/** The TLS peer of Envoy, proven by its certificate. */
export interface Workload {
  /** SPIFFE ID, for example `spiffe://mesh/app/a` */
  readonly spiffe: string;
}

/** Who a verified JWT speaks of. */
export interface User {
  readonly issuer: string;
  readonly subject: string;
  readonly claims: JsonObject;
}

/** The authenticated party: a workload, a user, both, or (neither) anonymous. */
export interface Principal {
  readonly workload?: Workload;
  readonly user?: User;
}

export const ANONYMOUS: Principal = Object.freeze({});

/** Which credentials a service demands before its policy is asked. */
export const AUTHENTICATE_MODES = ['none', 'jwt', 'mtls', 'either'] as const;
export type AuthenticateMode = (typeof AUTHENTICATE_MODES)[number];
