/** The bodies of the journal entries that this room folds. */
import { type Static, Type } from 'typebox';
import type { Digest } from '../core/digest.ts';

const digest = Type.Unsafe<Digest>({ type: 'string', pattern: '^sha256:[0-9a-f]{64}$' });

/** `policy.revision`: a revision was published. */
export const revisionBodySchema = Type.Object({
  policy: Type.String(),
  revision: digest,
  source: digest,
  artefact: digest,
  entrypoints: Type.Array(Type.String()),
  toolchain: Type.String(),
  abi: Type.String(),
  tests: Type.Integer(),
});
export type RevisionBody = Static<typeof revisionBodySchema>;

/** `policy.release`: from here on this artefact is the policy, and no other. */
export const releaseBodySchema = Type.Object({
  policy: Type.String(),
  revision: digest,
  artefact: digest,
  toolchain: Type.String(),
  abi: Type.String(),
  request: Type.Optional(digest),
});
export type ReleaseBody = Static<typeof releaseBodySchema>;
