import { describe, expect, it } from 'vitest';
import { type Digest, sha256 } from '../../../src/core/digest.ts';
import type { ActivePolicy } from '../../../src/policy/load.ts';
import type { RecordedRelease } from '../../../src/policy/state.ts';
import { replicaProgress } from '../../../src/roles/replicas.ts';

const [first, second] = [sha256('first'), sha256('second')];

const aRelease = (seq: number, revision: Digest): RecordedRelease => ({
  digest: sha256(`${seq}`),
  epoch: 1,
  seq,
  at: '2026-01-01T00:00:00.000Z',
  policy: 'p',
  revision,
  body: { policy: 'p', revision, artefact: revision, toolchain: 't', abi: '1.3' } as RecordedRelease['body'],
});

/** where role authz is at position 50, when the releases are at seq 10 and 20 */
function seqWith(
  running: { readonly seq: number; readonly revision: Digest } | undefined,
): number | undefined {
  const releases = [aRelease(10, first), aRelease(20, second)];
  const [progress] = replicaProgress(['authz'], {
    follower: { position: () => ({ epoch: 2, seq: 50, digest: first }), trouble: () => undefined },
    state: { policies: { view: { releases: () => releases } } },
    policies: {
      releasedNames: () => ['p'],
      select: () =>
        running &&
        ({ ...running, name: 'p', entrypoints: [], evaluate: () => ({}) } as unknown as ActivePolicy),
      trouble: () => undefined,
    },
  });
  return progress?.seq;
}

describe('an authorizer', () => {
  it('is right before the first release that it does not run yet', () => {
    expect(seqWith(undefined)).toBe(9);
    expect(seqWith({ seq: 10, revision: first })).toBe(19);
    expect(seqWith({ seq: 20, revision: second })).toBe(50);
  });

  it('has come nowhere with a release that an adopted journal does not have, whatever its number', () => {
    expect(seqWith({ seq: 40, revision: second })).toBe(9);
    expect(seqWith({ seq: 20, revision: first })).toBe(9);
  });
});
