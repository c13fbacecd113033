/**
 * A snapshot: what one node should have, encoded once. The version of a resource is a digest of its bytes, so what
 * has not changed has not a new version either, on any process, before and after a restart.
 */
import { sha256 } from '../core/digest.ts';
import { Failure, type FailureIssue } from '../core/failure.ts';
import type { JsonObject } from '../core/json.ts';
import type { Position } from '../core/position.ts';
import type { EnvoyMessages } from '../grpc/messages.ts';
import type { EncodedResource } from '../grpc/messages-codec.ts';
import { consistencyIssues } from './consistency.ts';
import { type NodeResources, ofEachType, RESOURCE_TYPES, type ResourceType } from './resource-types.ts';

export interface SnapshotResource {
  readonly name: string;
  readonly version: string;
  readonly resource: EncodedResource;
  /** what it was made of */
  readonly source: JsonObject;
}

export type ResourceSet = ReadonlyMap<string, SnapshotResource>;

export interface Snapshot {
  /** the journal's position that it was built from */
  readonly position: Position;
  readonly types: Readonly<Record<ResourceType, ResourceSet>>;
}

export const NO_RESOURCES: ResourceSet = new Map();

/**
 * @throws Failure snapshot_inconsistent  when the resources contradict each other; internal when one cannot be encoded
 */
export function createSnapshot(
  resources: NodeResources,
  position: Position,
  encode: (resource: JsonObject) => SnapshotResource,
): Snapshot {
  const issues: readonly FailureIssue[] = consistencyIssues(resources);
  if (issues.length > 0) {
    const said = issues.map(({ message }) => message).join('; ');
    throw new Failure('snapshot_inconsistent', said, { issues });
  }
  const set = (type: ResourceType): ResourceSet =>
    new Map((resources[type] ?? []).map((resource) => [nameOf(resource), encode(resource)]));
  return { position, types: ofEachType(set) };
}

/** ClusterLoadAssignment is the one type whose name is not `name`. */
export function nameOf(resource: JsonObject): string {
  const name = resource['name'] ?? resource['clusterName'];
  return typeof name === 'string' ? name : '';
}

/** For people and for comparing at a glance: a digest of the names and versions of a type. */
export function systemVersion(versions: ReadonlyMap<string, string>): string {
  const text = [...versions].map(([name, version]) => `${name}\0${version}\n`).sort();
  return shorten(sha256(text.join('')));
}

/** Resource names and their versions. */
export function versionsOf(set: ResourceSet): ReadonlyMap<string, string> {
  return new Map([...set].map(([name, { version }]) => [name, version]));
}

/** True when nothing would have to be sent to go from one to the other. */
export function sameResources(a: Snapshot, b: Snapshot): boolean {
  return RESOURCE_TYPES.every(
    (type) =>
      a.types[type].size === b.types[type].size &&
      [...a.types[type]].every(([name, { version }]) => b.types[type].get(name)?.version === version),
  );
}

/** @throws Failure internal  when it cannot be encoded */
export function toSnapshotResource(
  resource: JsonObject,
  encode: EnvoyMessages['encodeResource'],
): SnapshotResource {
  const encoded = encode(resource);
  return {
    name: nameOf(resource),
    version: shorten(sha256(encoded.typeUrl, '\0', encoded.bytes)),
    resource: encoded,
    source: resource,
  };
}

/** 128 bits tell resources apart; the rest would only make each message longer. */
function shorten(digest: string): string {
  return digest.slice('sha256:'.length, 'sha256:'.length + 32);
}
