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
import { toDraft } from './bodies.ts';
import { keptDenials } from './kept-denials.ts';
import { ANY_OPERATION, type Grant, type Node, type NodeGroup, type Service } from './model.ts';
import {
  narrowGrant,
  narrowGroup,
  narrowNode,
  narrowNodeGroup,
  narrowParty,
  narrowService,
  narrowSettings,
} from './narrow.ts';
import { keyOf, type ObjectKind, type Objects, type RegistryChange, splitGrantName } from './objects.ts';
import type { App, Member } from './parties.ts';
import type { Recorded, RegistryView } from './state.ts';

/**
 * Parties first, then grants and nodes, then the services that they name; last of all what is denied apart.
 *
 * @param lostAt  RFC 3339: when the lost part ended
 */
export function keptRegistryRevocations(
  fork: RegistryView,
  adopted: RegistryView,
  lost: RegistryView,
  lostAt: string,
): readonly Revocation[] {
  const changeOf = <K extends ObjectKind>(kind: K, name: string): Change<Objects[K]> =>
    toChange(fork.object(kind, name), lost.object(kind, name));
  const services = new Map(
    adopted
      .services()
      .map(({ name, value }) => [name, applyTo(value, changeOf('service', name), narrowService)] as const),
  );
  const narrowed: readonly RegistryChange[] = [
    ...adopted.members().map(({ name, value }): RegistryChange => {
      return { kind: 'member', name, value: partyAfter(value, changeOf('member', name)) };
    }),
    ...adopted.apps().map(({ name, value }): RegistryChange => {
      return { kind: 'app', name, value: partyAfter(value, changeOf('app', name)) };
    }),
    ...adopted.groups().map(({ name, value }): RegistryChange => {
      const kept = applyTo(value, changeOf('group', name), narrowGroup);
      return { kind: 'group', name, value: kept ?? { ...value, members: [] } };
    }),
    ...adopted.objects('grant').map(([name, { value }]): RegistryChange => {
      const kept = value.effect === 'deny' ? value : applyTo(value, changeOf('grant', name), narrowGrant);
      return { kind: 'grant', name, value: withinService(kept, services.get(splitGrantName(name)[0])) };
    }),
    ...adopted.nodes().map(({ name, value }): RegistryChange => {
      return {
        kind: 'node',
        name,
        value: withServices(applyTo(value, changeOf('node', name), narrowNode), services),
      };
    }),
    ...adopted.nodeGroups().map(({ name, value }): RegistryChange => {
      const kept = applyTo(value, changeOf('node-group', name), narrowNodeGroup);
      return { kind: 'node-group', name, value: nodeGroupAfter(kept, adopted, services, changeOf) };
    }),
    ...[...services].map(([name, value]): RegistryChange => ({ kind: 'service', name, value })),
    ...settingsAfter(fork, adopted, lost),
  ];
  const changes = narrowed.filter(({ kind, name, value }) => !same(value, adopted.object(kind, name)?.value));
  const denials = keptDenials(fork, adopted.after(changes), lost, Date.parse(lostAt));
  return [...changes, ...denials].map((change) => ({
    ...toDraft(change),
    key: keyOf(change.kind, change.name),
  }));
}

/** What the lost part did to an object: nothing that takes away, another value, or its end. */
type Change<T> = { readonly to: T } | 'none' | 'deleted';

function toChange<T>(fork: Recorded<T> | undefined, lost: Recorded<T> | undefined): Change<T> {
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

/** One that was deleted may be named by others here: it stays, and does not count. */
function partyAfter<T extends Member | App>(value: T, change: Change<T>): T {
  if (change === 'none') return value;
  if (change !== 'deleted') return narrowParty(value, change.to);
  return value.state === 'registered' ? { ...value, state: 'suspended' } : value;
}

/** What hangs on a service goes with it, and with the operations that it has no longer. */
function withinService(grant: Grant | undefined, service: Service | undefined): Grant | undefined {
  if (grant === undefined || service === undefined) return undefined;
  const known = new Set(service.operations?.map(({ id }) => id));
  const operations = grant.operations.filter((id) => id === ANY_OPERATION || known.has(id));
  return operations.length === 0 ? undefined : { ...grant, operations };
}

type NarrowedServices = ReadonlyMap<string, Service | undefined>;

function withServices(node: Node | undefined, services: NarrowedServices): Node | undefined {
  if (node === undefined) return undefined;
  return { ...node, services: node.services.filter((name) => services.get(name) !== undefined) };
}

function nodeGroupAfter(
  group: NodeGroup | undefined,
  adopted: RegistryView,
  services: NarrowedServices,
  changeOf: (kind: 'node', id: string) => Change<Node>,
): NodeGroup | undefined {
  return (
    group && {
      nodes: group.nodes.filter((id) => adopted.node(id) !== undefined && changeOf('node', id) !== 'deleted'),
      services: group.services.filter((name) => services.get(name) !== undefined),
    }
  );
}

function settingsAfter(
  fork: RegistryView,
  adopted: RegistryView,
  lost: RegistryView,
): readonly RegistryChange[] {
  // none at all asks for no credential
  const value = adopted.settings()?.value ?? {};
  const after = lost.settings();
  if (after === undefined || after.digest === fork.settings()?.digest) return [];
  const settings = narrowSettings(value, after.value);
  return same(settings, value) ? [] : [{ kind: 'settings', name: 'settings', value: settings }];
}

function same(a: JsonObject | undefined, b: JsonObject | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return toCanonicalJson(a) === toCanonicalJson(b);
}
