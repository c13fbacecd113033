/** How authentications end, and how the keys of the issuers are. */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import { ANONYMOUS, type Principal } from '../core/principal.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Authenticate } from './authenticate.ts';
import type { IssuersView } from './state.ts';

export interface IdentityMeasures {
  /** @returns an `authenticate` that does the same */
  counted(authenticate: Authenticate): Authenticate;
  /** an issuer was asked for its keys */
  keysRead(issuer: string, isGood: boolean): void;
}

const RESULTS = ['anonymous', 'workload', 'user', 'workload_and_user', 'authentication_required'] as const;

interface Readings {
  good: number;
  failed: number;
  goodAtMs: number | undefined;
}

/** Names of issuers are the registry's; those that are gone are forgotten. */
export function createIdentityMeasures(
  metrics: Metrics,
  { issuers, clock }: { readonly issuers: IssuersView; readonly clock: Clock },
): IdentityMeasures {
  // Plain numbers: a Check pays one addition.
  const results = new Map<string, number>(RESULTS.map((name) => [name, 0]));
  const count = (result: string): void => void results.set(result, (results.get(result) ?? 0) + 1);
  metrics.observed(
    'counter',
    'chancery_authentications_total',
    'Requests authenticated: who came, or why nobody could be told',
    () => [...results].map(([result, value]) => ({ value, labels: { result } })),
    ['result'],
  );

  const readings = new Map<string, Readings>();
  const known = (): readonly (readonly [string, Readings])[] => {
    for (const name of readings.keys()) if (issuers.get(name) === undefined) readings.delete(name);
    return [...readings];
  };
  metrics.observed(
    'counter',
    'chancery_issuer_key_reads_total',
    'Times that an issuer was asked for its keys',
    () =>
      known().flatMap(([issuer, { good, failed }]) => [
        { value: good, labels: { issuer, result: 'read' } },
        { value: failed, labels: { issuer, result: 'failed' } },
      ]),
    ['issuer', 'result'],
  );
  metrics.observed(
    'gauge',
    'chancery_issuer_keys_age_seconds',
    'Since the keys of an issuer were read last',
    () =>
      known().flatMap(([issuer, { goodAtMs }]) =>
        goodAtMs === undefined ? [] : [{ value: (clock.nowMs() - goodAtMs) / 1_000, labels: { issuer } }],
      ),
    ['issuer'],
  );

  return {
    counted: (authenticate) => async (request, mode, signal) => {
      try {
        const principal = await authenticate(request, mode, signal);
        count(resultOf(principal));
        return principal;
      } catch (thrown) {
        count(Failure.from(thrown).code);
        throw thrown;
      }
    },
    keysRead(issuer, isGood) {
      const { good, failed, goodAtMs } = readings.get(issuer) ?? { good: 0, failed: 0, goodAtMs: undefined };
      readings.set(
        issuer,
        isGood ? { good: good + 1, failed, goodAtMs: clock.nowMs() } : { good, failed: failed + 1, goodAtMs },
      );
    },
  };
}

function resultOf(principal: Principal | 'authentication_required'): (typeof RESULTS)[number] {
  if (principal === 'authentication_required') return principal;
  if (principal === ANONYMOUS) return 'anonymous';
  if (principal.user === undefined) return principal.workload === undefined ? 'anonymous' : 'workload';
  return principal.workload === undefined ? 'user' : 'workload_and_user';
}
