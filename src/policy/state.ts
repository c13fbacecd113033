/** The policies with their revisions and releases, folded from the journal. */
import { Type } from 'typebox';
import { isOfForm } from '../core/compiled-check.ts';
import type { Digest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { JsonObject } from '../core/json.ts';
import type { ChangedKey, FoldedEntry, Reducer } from '../journal/fold.ts';
import { expectRecord, placeMembers } from '../journal/section.ts';
import { type ReleaseBody, type RevisionBody, releaseBodySchema, revisionBodySchema } from './bodies.ts';

/** Where something was recorded. Types, since an interface is no JsonObject. */
type Recorded = {
  /** of the entry */
  readonly digest: Digest;
  readonly epoch: number;
  readonly seq: number;
  /** RFC 3339 */
  readonly at: string;
};
export type RecordedRevision = Recorded & {
  readonly policy: string;
  readonly revision: Digest;
  readonly body: RevisionBody;
};
export type RecordedRelease = Recorded & {
  readonly policy: string;
  readonly revision: Digest;
  readonly body: ReleaseBody;
};

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
  let lists = new Lists();
  return {
    reducer: {
      kinds: ['policy.revision', 'policy.release'],
      apply: (entry) => (entry.kind === 'policy.revision' ? publish(entry, lists) : release(entry, lists)),
      section: {
        name: SECTION,
        version: 1,
        capture: () => lists.capture(),
        restore(captured) {
          const before = lists;
          lists = restoreLists(captured);
          return new Set([...before.keys(), ...lists.keys()]);
        },
      },
    },
    view: {
      names: () => [...lists.revisionsOf.keys()].sort(),
      revisions: (name) => lists.revisionsOf.get(name) ?? [],
      releases: (name) => (name === undefined ? lists.releases : (lists.releasesOf.get(name) ?? [])),
      released: (name) => lists.releasesOf.get(name)?.at(-1),
    },
  };
}

/** In order of the entries. */
class Lists {
  readonly revisions: RecordedRevision[] = [];
  readonly revisionsOf = new Map<string, RecordedRevision[]>();
  readonly releases: RecordedRelease[] = [];
  readonly releasesOf = new Map<string, RecordedRelease[]>();

  addRevision(revision: RecordedRevision): void {
    this.revisions.push(revision);
    append(this.revisionsOf, revision.policy, revision);
  }

  addRelease(release: RecordedRelease): void {
    this.releases.push(release);
    append(this.releasesOf, release.policy, release);
  }

  keys(): readonly ChangedKey[] {
    return [
      ...[...this.revisionsOf.keys()].map((name) => `policy/${name}`),
      ...[...this.releasesOf.keys()].map((name) => `release/${name}`),
    ];
  }

  capture(): readonly JsonObject[] {
    return [
      ...this.revisions.map((record): JsonObject => ({ type: 'revision', record })),
      ...this.releases.map((record): JsonObject => ({ type: 'release', record })),
    ];
  }
}

function publish(entry: FoldedEntry, lists: Lists): readonly ChangedKey[] {
  const { body, seq } = entry;
  if (!isOfForm(revisionBodySchema, body))
    throw new Failure('internal', `entry ${seq}: the body is no revision`);
  const { policy, revision } = body;
  lists.addRevision({ ...placeOf(entry), policy, revision, body });
  return [`policy/${policy}`];
}

function release(entry: FoldedEntry, lists: Lists): readonly ChangedKey[] {
  const { body, seq } = entry;
  if (!isOfForm(releaseBodySchema, body))
    throw new Failure('internal', `entry ${seq}: the body is no release`);
  const { policy, revision } = body;
  lists.addRelease({ ...placeOf(entry), policy, revision, body });
  return [`release/${policy}`];
}

const SECTION = 'policies';
const recordedMembers = {
  ...placeMembers,
  epoch: Type.Integer({ minimum: 1 }),
  policy: Type.String(),
  revision: placeMembers.digest,
};
const typeOnly = Type.Object({ type: Type.Enum(['revision', 'release']) });
const anyRevision = Type.Object({ record: Type.Object({ ...recordedMembers, body: revisionBodySchema }) });
const anyRelease = Type.Object({ record: Type.Object({ ...recordedMembers, body: releaseBodySchema }) });

function restoreLists(captured: readonly JsonObject[]): Lists {
  const lists = new Lists();
  for (const one of captured) {
    const { type } = expectRecord(typeOnly, one, SECTION);
    if (type === 'revision') lists.addRevision(expectRecord(anyRevision, one, SECTION).record);
    else lists.addRelease(expectRecord(anyRelease, one, SECTION).record);
  }
  return lists;
}

function placeOf({ digest, epoch, seq, at }: FoldedEntry): Recorded {
  return { digest, epoch, seq, at };
}

function append<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}
