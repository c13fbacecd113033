/** What an administration does with policies: read what was published, publish, release. */
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { Blobs, Draft } from '../journal/journal.ts';
import type { Toolchain } from '../rego/toolchain.ts';
import { writeBundle } from './bundle.ts';
import type { PolicyOptions } from './options.ts';
import { publishPolicy } from './publish.ts';
import { releaseDraft } from './release.ts';
import { type CompleteSource, decodeSource } from './source.ts';
import type { PolicyView } from './state.ts';

export interface PolicyAdministration extends PolicyView {
  /** @throws Failure not_found, store_unavailable, store_mismatch */
  source(revision: Digest): Promise<CompleteSource>;
  /** A revision as an OPA bundle. @throws Failure not_found, store_unavailable, store_mismatch */
  bundle(revision: Digest): Promise<Uint8Array>;
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
  release(name: string, revision: Digest): Draft;
}

export interface PolicyAdministrationDeps {
  readonly view: PolicyView;
  readonly blobs: Blobs;
  readonly toolchain: Toolchain;
  /** of the running policies: a smoke case has no more */
  readonly options: PolicyOptions;
}

const KEPT_BUNDLES = 8;

export function createPolicyAdministration(deps: PolicyAdministrationDeps): PolicyAdministration {
  const { view, blobs, toolchain, options } = deps;
  const bundles = keepSome(async (revision: Digest) =>
    writeBundle(decodeSource(await blobs.get(revision)), revision),
  );
  return {
    ...view,
    source: async (revision) => decodeSource(await blobs.get(revision)),
    bundle: bundles,
    async publish(name, source, signal) {
      const prepared = await publishPolicy(name, source, { toolchain, signal, ...options });
      await Promise.all([blobs.put(prepared.source), blobs.put(prepared.artefact)]);
      return { revision: prepared.revision, draft: prepared.draft };
    },
    release(name, revision) {
      const published = view.revisions(name).findLast((each) => each.revision === revision);
      if (published !== undefined) return releaseDraft(published);
      const issues = [{ pointer: '/revision', message: 'this policy has no such revision' }];
      throw new Failure('policy_rejected', 'The revision was never published', { issues });
    },
  };
}

/** OPAs poll: what was made last is not made again for each of them. A failure is not kept. */
function keepSome<K, V>(make: (key: K) => Promise<V>): (key: K) => Promise<V> {
  const kept = new Map<K, Promise<V>>();
  return (key) => {
    const made = kept.get(key) ?? make(key);
    kept.delete(key);
    kept.set(key, made);
    made.catch(() => kept.delete(key));
    for (const oldest of [...kept.keys()].slice(0, -KEPT_BUNDLES)) kept.delete(oldest);
    return made;
  };
}
