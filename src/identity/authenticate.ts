/**
 * Credential in, principal out. *None* is a value, `authentication_required`; a *bad* one is a Failure and never
 * becomes anonymous.
 *
 * A workload is proven by its certificate, in every mode. A user is proven by one JWT in one place, a single
 * `Authorization: Bearer` (RFC 6750, section 2.1); tokens in the query or the body are not looked for. By mode:
 *
 * - `none`: nothing is demanded, and the token is not looked at; the policy sees the header as it is.
 * - `mtls`: a workload. The token is not looked at, as with `none`.
 * - `jwt`: a user. A certificate that proves nothing only means that there is no workload.
 * - `either`: at least one, and each that is shown must be valid.
 *
 * An `Authorization` of another scheme (Basic, Digest, …) is a credential that we cannot verify: where a token is
 * looked at it is bad, not absent.
 */
import type { AuthorizationRequest } from '../core/authorization-request.ts';
import { Failure } from '../core/failure.ts';
import { ANONYMOUS, type AuthenticateMode, type Principal, type User } from '../core/principal.ts';
import { createJwtVerifier, type JwtDeps } from './jwt.ts';
import { createWorkloadProver, type WorkloadProof } from './workload.ts';

/**
 * @param signal  called when there is something to wait for (an issuer's keys, a signature)
 * throws Failure credential_*, issuer_*, peer_mismatch, deadline_exceeded
 */
export type Authenticate = (
  request: AuthorizationRequest,
  mode: AuthenticateMode,
  signal: () => AbortSignal,
) => Promise<Principal | 'authentication_required'>;

/** RFC 6750, section 2.1; the scheme's case does not matter (RFC 9110, section 11.1) */
const BEARER = /^bearer +([A-Za-z0-9._~+/-]+=*) *$/i;
/** two in one value: Envoy joins headers of one name with a comma unless it sends them raw */
const JOINED = /^bearer\b.*,|,\s*bearer\b/i;

export function createAuthenticator(deps: JwtDeps): Authenticate {
  const prove = createWorkloadProver(deps.clock);
  const verify = createJwtVerifier(deps);

  return async (request, mode, signal) => {
    const proof = prove(request);
    switch (mode) {
      case 'none':
        return proof.kind === 'proven' ? { workload: proof.workload } : ANONYMOUS;
      case 'mtls':
        return demanded(proof) ?? 'authentication_required';
      case 'jwt': {
        const token = bearerToken(request);
        if (token === undefined) return 'authentication_required';
        const user = await beforeAbort(verify(token), signal());
        return proof.kind === 'proven' ? { workload: proof.workload, user } : { user };
      }
      case 'either': {
        const principal = demanded(proof);
        const token = bearerToken(request);
        if (token === undefined) return principal ?? 'authentication_required';
        const user: User = await beforeAbort(verify(token), signal());
        return { ...principal, user };
      }
      default:
        return mode satisfies never;
    }
  };
}

/** @returns undefined when no certificate was shown */
function demanded(proof: WorkloadProof): Principal | undefined {
  if (proof.kind === 'refused') throw proof.failure;
  return proof.kind === 'proven' ? { workload: proof.workload } : undefined;
}

/** @returns undefined when the header is not there */
function bearerToken(request: AuthorizationRequest): string | undefined {
  const [value, another] = request.headerValues('authorization');
  if (value === undefined) return undefined;
  if (another !== undefined || JOINED.test(value)) {
    throw new Failure('credential_ambiguous', 'more than one Authorization was shown');
  }
  const token = BEARER.exec(value)?.[1];
  if (token === undefined) throw new Failure('credential_invalid', 'Authorization is not a Bearer token');
  return token;
}

/** The work goes on, for whoever comes next: keys that arrive late are kept. */
function beforeAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new Failure('deadline_exceeded', 'authentication took too long'));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
