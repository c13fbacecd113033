/** The nodes that this instance enrols: how listeners see them, and who issues their certificates. */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/failure.ts';
import { isTrustDomain } from '../core/spiffe-id.ts';
import type { EnrolmentView } from '../identity/enrolment-state.ts';
import { createNodeIssuer, type NodeIssuer } from '../identity/issue.ts';
import type { IssuedCertificates } from '../identity/issued-certificates.ts';
import type { NodeAuthorities } from '../identity/tls-files.ts';
import type { Follower, Writer } from '../journal/fold.ts';
import type { JournalFollower } from '../journal/follower.ts';
import type { RandomBytes } from '../journal/random.ts';
import type { Secrets } from '../journal/secrets.ts';
import type { RegistryView } from '../registry/state.ts';
import type { Logger } from '../telemetry/logger.ts';

interface NodeAuthoritiesDeps {
  readonly state: { readonly enrolments: { readonly view: EnrolmentView } };
  readonly follower: Pick<Follower, 'onApplied'>;
}

const REVOKED = 'the certificate was revoked, or was never issued to a node';

export function nodeAuthorities(
  issued: IssuedCertificates,
  { state, follower }: NodeAuthoritiesDeps,
): NodeAuthorities {
  const { view } = state.enrolments;
  return {
    certificates: () => view.authorities().map(({ certificate }) => certificate),
    refusalOf(certificate) {
      const { isOurs, nodeId } = issued.read(certificate);
      return isOurs && nodeId() === undefined ? REVOKED : undefined;
    },
    onChange: (listener) =>
      follower.onApplied(({ changed }) => {
        const kinds = new Set([...changed].map((key) => key.split('/', 1)[0]));
        if (kinds.has('node-authority')) listener('authorities');
        if (kinds.has('node-certificates')) listener('certificates');
      }),
  };
}

interface NodeIssuerWorld extends NodeAuthoritiesDeps {
  readonly follower: Pick<JournalFollower, 'onApplied' | 'genesis'>;
  readonly state: {
    readonly enrolments: { readonly view: EnrolmentView };
    readonly registry: { readonly view: Pick<RegistryView, 'node'> };
  };
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly logger: Logger;
}

const START_MS = 10_000;

/**
 * Whoever issues certificates to nodes here, with an authority in place.
 *
 * @returns a function that throws Failure registry_rejected  where none can be issued: its detail says why
 * @throws Failure store_mismatch  when the authority's key was sealed with another secrets key; store_unavailable
 */
export async function openNodeIssuer(
  world: NodeIssuerWorld,
  writer: Writer,
  secrets: Secrets | undefined,
): Promise<() => NodeIssuer> {
  const { state, follower, clock, random, logger } = world;
  const trustDomain = follower.genesis()?.instance ?? '';
  const obstacle = whyNot(trustDomain, secrets);
  if (secrets === undefined || obstacle !== undefined) {
    logger.info({ reason: obstacle }, 'nodes cannot be enrolled');
    return () => {
      throw new Failure('registry_rejected', `nodes cannot be enrolled here: ${obstacle}`);
    };
  }
  const { view } = state.enrolments;
  const isRegistered = (id: string): boolean => state.registry.view.node(id) !== undefined;
  const issuer = createNodeIssuer({ view, isRegistered, writer, secrets, trustDomain, clock, random });
  try {
    await issuer.ensureAuthority(AbortSignal.timeout(START_MS));
  } catch (thrown) {
    const err = Failure.from(thrown);
    // a start from the local copy: it had an authority when that was made, and issues when the store is back
    if (err.code !== 'store_unavailable' || view.authorities().length === 0) throw thrown;
    logger.warn({ err }, 'the key of the authority of the nodes cannot be read yet');
  }
  return () => issuer;
}

function whyNot(trustDomain: string, secrets: Secrets | undefined): string | undefined {
  if (secrets === undefined) return 'there is no secrets key (store.secretsKeyFile)';
  if (!isTrustDomain(trustDomain)) return 'the name of this instance cannot be a trust domain of SPIFFE IDs';
  return undefined;
}
