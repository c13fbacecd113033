import type { Digest } from '../core/digest.ts';
import type { Draft } from '../journal/journal.ts';
import type { ReleaseBody, RevisionBody } from './bodies.ts';

/**
 * Makes a published revision live; rolling back is releasing an older one.
 *
 * @param published  what `publishPolicy` prepared, or what the state has recorded
 * @param request  digest of the REST request that asked for it
 */
export function releaseDraft(published: { readonly body: RevisionBody }, request?: Digest): Draft {
  const { policy, revision, artefact, toolchain, abi } = published.body;
  const body: ReleaseBody = { policy, revision, artefact, toolchain, abi };
  return { kind: 'policy.release', body: request === undefined ? body : { ...body, request } };
}
