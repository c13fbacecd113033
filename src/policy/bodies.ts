/** The bodies of the journal entries that this room folds; `request`: digest of the REST call that asked for it. */
import { type Static, Type } from 'typebox';
import type { Digest } from '../core/digest.ts';

const digest = Type.Unsafe<Digest>({ type: 'string', pattern: '^sha256:[0-9a-f]{64}$' });

/**
 * `policy.revision`: a revision was published.
 *
 * `metering`: version of the units that the artefact counts; absent: it counts none, and is metered when it is loaded.
 * `smokeUnits`: what each smoke case has cost.
 * `inputs`: the parts of `input` that it can read, as paths of member names; absent: all of it.
 * `builtins`: the built-in functions that it asks its host for.
 */
export const revisionBodySchema = Type.Object({
  policy: Type.String(),
  revision: digest,
  source: digest,
  artefact: digest,
  entrypoints: Type.Array(Type.String()),
  toolchain: Type.String(),
  abi: Type.String(),
  tests: Type.Integer(),
  metering: Type.Optional(Type.Integer()),
  smokeUnits: Type.Optional(Type.Array(Type.Integer())),
  inputs: Type.Optional(Type.Array(Type.Array(Type.String()))),
  builtins: Type.Optional(Type.Array(Type.String())),
  request: Type.Optional(digest),
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
