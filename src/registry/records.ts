/**
 * What the registry holds, with the reverse indexes that tell whom a change concerns.
 *
 * The maps of objects stand in order of the entries that made their objects so: what is put again moves to the end.
 * So a checkpoint has one order, without sorting.
 */
import type { Digest } from '../core/digest.ts';
import type { Position } from '../core/position.ts';
import type { ChangedKey } from '../journal/fold.ts';
import type { Grant, Node, Service, Settings } from './model.ts';

/**
 * An object as it stands, and the entry that made it so. Replaced as a whole, never changed. A type, since an
 * interface is no JsonObject.
 */
export type Recorded<T> = {
  /** name of a service; id of a grant or node; `settings` */
  readonly name: string;
  readonly value: T;
  /** of the entry; serves as ETag */
  readonly digest: Digest;
  readonly seq: number;
  /** RFC 3339 */
  readonly at: string;
};

type Place = Pick<Position, 'epoch' | 'seq'>;

export class RegistryRecords {
  readonly services = new Map<string, Recorded<Service>>();
  /** by service and id */
  readonly grants = new Map<string, Map<string, Recorded<Grant>>>();
  readonly nodes = new Map<string, Recorded<Node>>();
  settings: Recorded<Settings> | undefined;
  /** `service/<name>` and `node/<id>` → the last entry that changed it; a grant that comes or goes changes its service */
  readonly changes = new Map<string, Place>();
  /** by service and subject, so that asking costs nothing however many there are */
  readonly #grantsBySubject = new Map<string, Map<string, Map<string, Grant>>>();
  readonly #nodesByService = new Map<string, Set<string>>();

  putService(service: Recorded<Service>): void {
    putLast(this.services, service.name, service);
  }

  deleteService(name: string): void {
    this.services.delete(name);
  }

  putGrant(service: string, grant: Recorded<Grant>): void {
    this.#unindexGrant(service, grant.name);
    this.#indexGrant(service, grant);
    const ofService = this.grants.get(service) ?? new Map<string, Recorded<Grant>>();
    putLast(ofService, grant.name, grant);
    this.grants.set(service, ofService);
  }

  deleteGrant(service: string, id: string): void {
    this.#unindexGrant(service, id);
    const ofService = this.grants.get(service);
    ofService?.delete(id);
    if (ofService?.size === 0) this.grants.delete(service);
  }

  putNode(node: Recorded<Node>): void {
    this.#unindexNode(node.name);
    putLast(this.nodes, node.name, node);
    for (const service of node.value.services) {
      this.#nodesByService.set(service, (this.#nodesByService.get(service) ?? new Set()).add(node.name));
    }
  }

  deleteNode(id: string): void {
    this.#unindexNode(id);
    this.nodes.delete(id);
  }

  /** Of what is gone nothing is kept: no node may name it. */
  noteChange(key: ChangedKey, { epoch, seq }: Place): void {
    const [kind, name = ''] = key.split('/');
    if (kind === 'settings') return;
    const changed = `${kind === 'node' ? 'node' : 'service'}/${name}`;
    const isThere = kind === 'node' ? this.nodes.has(name) : this.services.has(name);
    if (isThere) putLast(this.changes, changed, { epoch, seq });
    else this.changes.delete(changed);
  }

  /** The last entry that changed what a node is told. @returns undefined  for no node */
  lastChangeOf(id: string): Place | undefined {
    const services = this.nodes.get(id)?.value.services ?? [];
    const places = services.map((service) => this.changes.get(`service/${service}`));
    return places.reduce(
      (a, b) => (b && (a === undefined || b.seq > a.seq) ? b : a),
      this.changes.get(`node/${id}`),
    );
  }

  grantsOfSubject(service: string, spiffe: string): Iterable<Grant> {
    return this.#grantsBySubject.get(service)?.get(spiffe)?.values() ?? [];
  }

  nodesOfService(name: string): Iterable<string> {
    return this.#nodesByService.get(name) ?? [];
  }

  keys(): readonly ChangedKey[] {
    const keys: ChangedKey[] = this.settings === undefined ? [] : ['settings'];
    for (const name of this.services.keys()) keys.push(`service/${name}`);
    for (const [service, grants] of this.grants) {
      for (const id of grants.keys()) keys.push(`grant/${service}/${id}`);
    }
    for (const id of this.nodes.keys()) keys.push(`node/${id}`);
    return keys;
  }

  #indexGrant(service: string, { name, value }: Recorded<Grant>): void {
    const bySubject = this.#grantsBySubject.get(service) ?? new Map<string, Map<string, Grant>>();
    const ofSubject = bySubject.get(value.subject.spiffe) ?? new Map<string, Grant>();
    this.#grantsBySubject.set(service, bySubject.set(value.subject.spiffe, ofSubject.set(name, value)));
  }

  #unindexGrant(service: string, id: string): void {
    const spiffe = this.grants.get(service)?.get(id)?.value.subject.spiffe ?? '';
    const bySubject = this.#grantsBySubject.get(service);
    const ofSubject = bySubject?.get(spiffe);
    ofSubject?.delete(id);
    if (ofSubject?.size === 0) bySubject?.delete(spiffe);
  }

  #unindexNode(id: string): void {
    for (const name of this.nodes.get(id)?.value.services ?? []) this.#nodesByService.get(name)?.delete(id);
  }
}

function putLast<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
}
