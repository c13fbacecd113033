/**
 * What a lost part of the journal had taken away, for an adoption: afterwards nothing is allowed that the lost head
 * no longer allowed. What was only given in the lost part is gone with it.
 *
 * An object counts as changed there when its last entry is another one than at the fork. Who made it anew on the
 * adopted line did not know of the change, so that it is taken away there as well.
 */
import { toCanonicalJson } from '../core/canonical-json.ts';
import type { JsonObject } from '../core/json.ts';
import type { Revocation } from '../journal/adopt.ts';
import { ANY_OPERATION, type Grant, type Node, type Service } from './model.ts';
import { narrowGrant, narrowNode, narrowService, narrowSettings } from './narrow.ts';
import type { Recorded, RegistryView } from './state.ts';

/** Grants and nodes first, then the services that they name. */
export function keptRegistryRevocations(
  fork: RegistryView,
  adopted: RegistryView,
  lost: RegistryView,
): readonly Revocation[] {
  const services = new Map(
    adopted.services().map(({ name, value }) => {
      const change = changeOf(fork.service(name), lost.service(name));
      return [name, applyTo(value, change, narrowService)] as const;
    }),
  );
  return [
    ...adopted.services().flatMap(({ name }) =>
      adopted.grantsOf(name).flatMap(({ name: id, value }) => {
        const change = changeOf(fork.grant(name, id), lost.grant(name, id));
        const narrowed = withinService(applyTo(value, change, narrowGrant), services.get(name));
        return same(narrowed, value) ? [] : [toGrantRevocation(name, id, narrowed)];
      }),
    ),
    ...adopted.nodes().flatMap(({ name: id, value }) => {
      const change = changeOf(fork.node(id), lost.node(id));
      const narrowed = withServices(applyTo(value, change, narrowNode), services);
      return same(narrowed, value) ? [] : [toNodeRevocation(id, narrowed)];
    }),
    ...adopted.services().flatMap(({ name, value }) => {
      const narrowed = services.get(name);
      return same(narrowed, value) ? [] : [toServiceRevocation(name, narrowed)];
    }),
    ...settingsRevocations(fork, adopted, lost),
  ];
}

/** What the lost part did to an object: nothing that takes away, another value, or its end. */
type Change<T> = { readonly to: T } | 'none' | 'deleted';

function changeOf<T>(fork: Recorded<T> | undefined, lost: Recorded<T> | undefined): Change<T> {
  if (lost === undefined) return fork === undefined ? 'none' : 'deleted';
  return lost.digest === fork?.digest ? 'none' : { to: lost.value };
}

/** @returns undefined  when nothing of it may stay */
function applyTo<T>(
  value: T,
  change: Change<T>,
  narrow: (adopted: T, lost: T) => T | undefined,
): T | undefined {
  if (change === 'none') return value;
  return change === 'deleted' ? undefined : narrow(value, change.to);
}

/** What hangs on a service goes with it, and with the operations that it has no longer. */
function withinService(grant: Grant | undefined, service: Service | undefined): Grant | undefined {
  if (grant === undefined || service === undefined) return undefined;
  const known = new Set(service.operations?.map(({ id }) => id));
  const operations = grant.operations.filter((id) => id === ANY_OPERATION || known.has(id));
  return operations.length === 0 ? undefined : { ...grant, operations };
}

function withServices(
  node: Node | undefined,
  services: ReadonlyMap<string, Service | undefined>,
): Node | undefined {
  if (node === undefined) return undefined;
  return { ...node, services: node.services.filter((name) => services.get(name) !== undefined) };
}

function settingsRevocations(
  fork: RegistryView,
  adopted: RegistryView,
  lost: RegistryView,
): readonly Revocation[] {
  // none at all asks for no credential
  const value = adopted.settings()?.value ?? {};
  const after = lost.settings();
  if (after === undefined || after.digest === fork.settings()?.digest) return [];
  const settings = narrowSettings(value, after.value);
  if (same(settings, value)) return [];
  return [{ kind: 'settings.put', body: { settings }, key: 'settings' }];
}

function toGrantRevocation(service: string, id: string, grant: Grant | undefined): Revocation {
  const key = `grant/${service}/${id}`;
  if (grant === undefined) return { kind: 'registry.grant.delete', body: { service, id }, key };
  return { kind: 'registry.grant.put', body: { service, id, grant }, key };
}

function toNodeRevocation(id: string, node: Node | undefined): Revocation {
  const key = `node/${id}`;
  if (node === undefined) return { kind: 'registry.node.delete', body: { id }, key };
  return { kind: 'registry.node.put', body: { id, node }, key };
}

function toServiceRevocation(name: string, service: Service | undefined): Revocation {
  const key = `service/${name}`;
  if (service === undefined) return { kind: 'registry.service.delete', body: { name }, key };
  return { kind: 'registry.service.put', body: { name, service }, key };
}

function same(a: JsonObject | undefined, b: JsonObject): boolean {
  return a !== undefined && toCanonicalJson(a) === toCanonicalJson(b);
}
