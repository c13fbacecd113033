/**
 * What many nodes have in common is encoded and hashed once, and its bytes are shared: the same object, and also another
 * one of the same content (nodes with the same services have the same routes). Held only as long as a snapshot holds it.
 */
import { sha256 } from '../core/digest.ts';
import type { JsonObject } from '../core/json.ts';
import type { EnvoyMessages } from '../grpc/messages.ts';
import type { Count } from '../telemetry/metrics.ts';
import { type SnapshotResource, toSnapshotResource } from './snapshot.ts';

export type EncodeResource = (resource: JsonObject) => SnapshotResource;

export function encodeOnce(messages: Pick<EnvoyMessages, 'encodeResource'>, encoded: Count): EncodeResource {
  const byObject = new WeakMap<JsonObject, SnapshotResource>();
  const byContent = new Map<string, WeakRef<SnapshotResource>>();
  const collected = new FinalizationRegistry<string>((content) => {
    // another one of this content may have taken its place
    if (byContent.get(content)?.deref() === undefined) byContent.delete(content);
  });

  const ofContent = (resource: JsonObject): SnapshotResource => {
    const content = sha256(JSON.stringify(resource));
    const known = byContent.get(content)?.deref();
    if (known !== undefined) return known;
    const made = toSnapshotResource(resource, messages.encodeResource);
    encoded.add();
    byContent.set(content, new WeakRef(made));
    collected.register(made, content);
    return made;
  };

  return (resource) => {
    const known = byObject.get(resource) ?? ofContent(resource);
    byObject.set(resource, known);
    return known;
  };
}
