import type { InputReads } from './input-reads.ts';
import type { JsonObject } from './json.ts';

/**
 * What a decision may know of a request. Read-only and lazy: `ext-authz` implements it over wire bytes, so
 * nothing is converted that nobody reads.
 */
export interface AuthorizationRequest {
  /** Envoy's context extensions: `service`, `operation` (managed nodes), `policy` (others) */
  contextExtension(name: string): string | undefined;
  /** every value of a header, in order; `name` in lower case; [] when absent */
  headerValues(name: string): readonly string[];
  /** the peer as Envoy names it: first URI SAN, else first DNS SAN, else subject; '' when there was no certificate */
  readonly sourcePrincipal: string;
  /** URL-encoded PEM of the peer's certificate (`include_peer_certificate`); '' when there was none */
  readonly sourceCertificate: string;
  /**
   * The Rego input as JSON bytes (UTF-8), with `identity` as an additional top-level member.
   *
   * @param reads  what of it will be read: the rest is left out. Default: all
   * @throws Failure request_malformed  when path, query or body cannot be parsed
   */
  writeInput(identity: JsonObject, reads?: InputReads): Uint8Array;
}
