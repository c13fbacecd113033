import type { Draft } from '../journal/journal.ts';
import type { ReleaseBody, RevisionBody } from './bodies.ts';

/**
 * Makes a published revision live; rolling back is releasing an older one.
 *
 * @param published  what `publishPolicy` prepared, or what the state has recorded
 */
export function releaseDraft(published: { readonly body: RevisionBody }): Draft {
  const { policy, revision, artefact, toolchain, abi } = published.body;
  const body: ReleaseBody = { policy, revision, artefact, toolchain, abi };
  return { kind: 'policy.release', body };
}
