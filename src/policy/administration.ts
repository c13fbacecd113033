/** What an administration does with policies: read what was published, publish, release. */
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { Blobs, Draft } from '../journal/journal.ts';
import type { Toolchain } from '../rego/toolchain.ts';
import { publishPolicy } from './publish.ts';
import { releaseDraft } from './release.ts';
import { type CompleteSource, decodeSource } from './source.ts';
import type { PolicyView } from './state.ts';

export interface PolicyAdministration extends PolicyView {
  /** @throws Failure not_found, store_unavailable, store_mismatch */
  source(revision: Digest): Promise<CompleteSource>;
  /**
   * Passes every gate and stores the bytes; the draft is for the caller to append.
   *
   * @throws Failure policy_rejected, deadline_exceeded, overloaded, store_unavailable
   */
  publish(
    name: string,
    source: unknown,
    signal: AbortSignal,
  ): Promise<{ readonly revision: Digest; readonly draft: Draft }>;
  /** @throws Failure policy_rejected  when this policy has no such revision */
  release(name: string, revision: Digest, request?: Digest): Draft;
}

export interface PolicyAdministrationDeps {
  readonly view: PolicyView;
  readonly blobs: Blobs;
  readonly toolchain: Toolchain;
  readonly maxMemoryMiB: number;
}

export function createPolicyAdministration(deps: PolicyAdministrationDeps): PolicyAdministration {
  const { view, blobs, toolchain, maxMemoryMiB } = deps;
  return {
    ...view,
    source: async (revision) => decodeSource(await blobs.get(revision)),
    async publish(name, source, signal) {
      const prepared = await publishPolicy(name, source, { toolchain, signal, maxMemoryMiB });
      await Promise.all([blobs.put(prepared.source), blobs.put(prepared.artefact)]);
      return { revision: prepared.revision, draft: prepared.draft };
    },
    release(name, revision, request) {
      const published = view.revisions(name).findLast((each) => each.revision === revision);
      if (published !== undefined) return releaseDraft(published, request);
      const issues = [{ pointer: '/revision', message: 'this policy has no such revision' }];
      throw new Failure('policy_rejected', 'The revision was never published', { issues });
    },
  };
}
