/** The policies with their revisions and releases, folded from the journal. */
import { Check } from 'typebox/value';
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { ChangedKey, FoldedEntry, Reducer } from '../journal/fold.ts';
import { type ReleaseBody, type RevisionBody, releaseBodySchema, revisionBodySchema } from './bodies.ts';

/** Where something was recorded. */
interface Recorded {
  /** of the entry */
  readonly digest: Digest;
  readonly epoch: number;
  readonly seq: number;
  /** RFC 3339 */
  readonly at: string;
}
export interface RecordedRevision extends Recorded {
  readonly policy: string;
  readonly revision: Digest;
  readonly body: RevisionBody;
}
export interface RecordedRelease extends Recorded {
  readonly policy: string;
  readonly revision: Digest;
  readonly body: ReleaseBody;
}

export interface PolicyView {
  /** in alphabetical order */
  names(): readonly string[];
  /** in order of publication, the latest last; [] when there is no such policy */
  revisions(name: string): readonly RecordedRevision[];
  /** of one policy or of all, in order */
  releases(name?: string): readonly RecordedRelease[];
  /** the latest release: what replicas run */
  released(name: string): RecordedRelease | undefined;
}

export interface PolicyState {
  readonly reducer: Reducer;
  readonly view: PolicyView;
}

/** Changed keys: `policy/<name>` when a revision was published, `release/<name>` when one was released. */
export function createPolicyState(): PolicyState {
  const revisions = new Map<string, RecordedRevision[]>();
  const releasesOf = new Map<string, RecordedRelease[]>();
  const releases: RecordedRelease[] = [];

  const publish = (entry: FoldedEntry): readonly ChangedKey[] => {
    const { body, seq } = entry;
    if (!Check(revisionBodySchema, body))
      throw new Failure('internal', `entry ${seq}: the body is no revision`);
    const { policy, revision } = body;
    append(revisions, policy, { ...placeOf(entry), policy, revision, body });
    return [`policy/${policy}`];
  };
  const release = (entry: FoldedEntry): readonly ChangedKey[] => {
    const { body, seq } = entry;
    if (!Check(releaseBodySchema, body))
      throw new Failure('internal', `entry ${seq}: the body is no release`);
    const { policy, revision } = body;
    const recorded = { ...placeOf(entry), policy, revision, body };
    append(releasesOf, policy, recorded);
    releases.push(recorded);
    return [`release/${policy}`];
  };

  return {
    reducer: {
      kinds: ['policy.revision', 'policy.release'],
      apply: (entry) => (entry.kind === 'policy.revision' ? publish(entry) : release(entry)),
    },
    view: {
      names: () => [...revisions.keys()].sort(),
      revisions: (name) => revisions.get(name) ?? [],
      releases: (name) => (name === undefined ? releases : (releasesOf.get(name) ?? [])),
      released: (name) => releasesOf.get(name)?.at(-1),
    },
  };
}

function placeOf({ digest, epoch, seq, at }: FoldedEntry): Recorded {
  return { digest, epoch, seq, at };
}

function append<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}
