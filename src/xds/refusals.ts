/**
 * What one node has refused, kept when its streams end: a bad version is not sent anew at each reconnect.
 *
 * The rule: what was refused counts for a new stream while the client says that it runs what it ran when it refused it
 * (`initial_resource_versions` of the name; in state of the world the `version_info` of the type). A client that says
 * that it runs nothing has just been started: it has nothing to fall back to, and what it was refused for may be gone,
 * so it is told everything.
 */
import { RESOURCE_TYPES, type ResourceType } from './resource-types.ts';
import { NO_RESOURCES, type ResourceSet, type Snapshot, versionsOf } from './snapshot.ts';
import { GONE, type Versions } from './subscription.ts';

/** What the first request of a type says that the client has: by name, or of the type as a whole. */
export type Said = { readonly versions: Readonly<Record<string, string>> } | { readonly version: string };

/** What a new stream begins with. */
export interface Recalled {
  readonly rejected: Versions;
  readonly known: Versions;
  /** all that the client has of the type, where it cannot say so itself */
  readonly accepted: ResourceSet;
}

/** A response that was answered. */
export interface Answered {
  /** name → version, GONE when removed */
  readonly sent: Versions;
  /** name → version that the client had before */
  readonly known: Versions;
  /** digest of the whole state of the type */
  readonly version: string;
  /** all that the client has of the type once it has accepted this */
  readonly leaves: ResourceSet;
}

export interface Refusals {
  accepted(type: ResourceType, answered: Answered): void;
  refused(type: ResourceType, answered: Answered): void;
  /**
   * What counts for a stream that begins; the rest is forgotten, since it will be sent and answered again.
   *
   * @param runs  the client has said, of whatever type, that it has something
   */
  recall(type: ResourceType, said: Said, runs: boolean): Recalled | undefined;
  /** types of which something is refused that belongs to the snapshot */
  typesOf(snapshot: Snapshot): readonly ResourceType[];
  /** Forgets names that there are not any more: a snapshot is the bound. */
  keep(snapshot: Snapshot): void;
}

interface TypeMemory {
  accepted: { readonly version: string; readonly leaves: ResourceSet };
  /** name → what was refused, and what the client had of it then */
  readonly refused: Map<string, { readonly version: string; readonly had: string | undefined }>;
}

export function createRefusals(): Refusals {
  const byType = new Map<ResourceType, TypeMemory>();
  const memoryOf = (type: ResourceType): TypeMemory => {
    const memory = byType.get(type) ?? {
      accepted: { version: '', leaves: NO_RESOURCES },
      refused: new Map(),
    };
    byType.set(type, memory);
    return memory;
  };
  return {
    accepted(type, { sent, version, leaves }) {
      const memory = memoryOf(type);
      memory.accepted = { version, leaves };
      for (const name of sent.keys()) memory.refused.delete(name);
    },
    refused(type, { sent, known }) {
      const { refused } = memoryOf(type);
      for (const [name, version] of sent) {
        // a removal is told anew to whoever comes back and still has it
        if (version === GONE) continue;
        // after a first refusal nobody knows what the client has, but it is what it had
        refused.set(name, { version, had: known.get(name) ?? refused.get(name)?.had });
      }
    },
    recall(type, said, runs) {
      const { accepted, refused } = memoryOf(type);
      const hasStayed = (name: string, had: string | undefined): boolean =>
        'versions' in said ? said.versions[name] === had : said.version === accepted.version;
      for (const [name, { had }] of refused) {
        if (!runs || !hasStayed(name, had)) refused.delete(name);
      }
      if (refused.size === 0) return undefined;
      const rejected = new Map([...refused].map(([name, { version }]) => [name, version]));
      if ('versions' in said) return { rejected, known: new Map(), accepted: NO_RESOURCES };
      return { rejected, known: versionsOf(accepted.leaves), accepted: accepted.leaves };
    },
    typesOf: (snapshot) =>
      RESOURCE_TYPES.filter((type) =>
        [...(byType.get(type)?.refused ?? [])].some(
          ([name, { version }]) => snapshot.types[type].get(name)?.version === version,
        ),
      ),
    keep(snapshot) {
      for (const [type, { refused }] of byType) {
        for (const name of refused.keys()) {
          if (!snapshot.types[type].has(name)) refused.delete(name);
        }
      }
    },
  };
}
