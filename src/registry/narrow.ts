/**
 * The part of two objects that both allow, for an adoption: `adopted` is the one that the store has, `lost` the one
 * that was put later and is lost. Where neither is a part of the other, what was put later holds.
 */
import { toCanonicalJson } from '../core/canonical-json.ts';
import type { AuthenticateMode } from '../core/principal.ts';
import { endOf } from './expiry.ts';
import {
  ANY_OPERATION,
  type Grant,
  type Node,
  type NodeGroup,
  type Operation,
  type Service,
  type Settings,
} from './model.ts';
import { subjectKey } from './objects.ts';
import type { App, Group, Member } from './parties.ts';

/** A deny stays: what is taken away by both is taken away. @returns undefined  when nothing is left */
export function narrowGrant(adopted: Grant, lost: Grant): Grant | undefined {
  if (adopted.effect === 'deny') return adopted;
  if (lost.effect === 'deny' || subjectKey(adopted.subject) !== subjectKey(lost.subject)) return undefined;
  const operations = adopted.operations.includes(ANY_OPERATION)
    ? lost.operations
    : adopted.operations.filter(
        (id) => lost.operations.includes(ANY_OPERATION) || lost.operations.includes(id),
      );
  if (operations.length === 0) return undefined;
  const sooner = (endOf(lost) ?? Number.POSITIVE_INFINITY) < (endOf(adopted) ?? Number.POSITIVE_INFINITY);
  return { ...adopted, operations, ...(sooner && { expiresAt: lost.expiresAt }) };
}

/** Whoever was not registered at the lost head is not now. */
export function narrowParty<T extends Member | App>(adopted: T, lost: T): T {
  if (adopted.state !== 'registered' || lost.state === 'registered') return adopted;
  return { ...adopted, state: lost.state, ...(lost.notice !== undefined && { notice: lost.notice }) };
}

/** Of a group only what both have; what that takes from a deny is given back apart, see `kept-denials.ts`. */
export function narrowGroup(adopted: Group, lost: Group): Group {
  const kept = new Set(lost.members.map((each) => toCanonicalJson(each)));
  return { ...adopted, members: adopted.members.filter((each) => kept.has(toCanonicalJson(each))) };
}

export function narrowNodeGroup(adopted: NodeGroup, lost: NodeGroup): NodeGroup {
  return {
    nodes: adopted.nodes.filter((id) => lost.nodes.includes(id)),
    services: adopted.services.filter((name) => lost.services.includes(name)),
  };
}

/** Its endpoints stay: where a service is reached allows nobody anything. @returns undefined  when nothing is left */
export function narrowService(adopted: Service, lost: Service): Service | undefined {
  const hosts = adopted.hosts.filter((host) => lost.hosts.includes(host));
  const operations = narrowOperations(adopted.operations, lost.operations);
  if (adopted.prefix !== lost.prefix || hosts.length === 0 || operations?.length === 0) return undefined;
  const { policy, entrypoint } = lost;
  const authenticate = stricter(adopted.authenticate, lost.authenticate);
  return {
    hosts,
    prefix: adopted.prefix,
    access: adopted.access === lost.access ? adopted.access : 'grants-and-policy',
    endpoints: adopted.endpoints,
    ...(operations && { operations }),
    ...(policy !== undefined && { policy }),
    ...(entrypoint !== undefined && { entrypoint }),
    ...(authenticate !== undefined && { authenticate }),
    ...(adopted.owner !== undefined && { owner: adopted.owner }),
    ...narrowState(adopted, lost),
  };
}

function narrowState(adopted: Service, lost: Service): Pick<Service, 'state' | 'notice'> {
  const disabled = [lost, adopted].find(({ state }) => state === 'disabled');
  const { state, notice } = disabled ?? adopted;
  return { ...(state !== undefined && { state }), ...(notice !== undefined && { notice }) };
}

/** None named: everything below the prefix. */
function narrowOperations(
  adopted: readonly Operation[] | undefined,
  lost: readonly Operation[] | undefined,
): Operation[] | undefined {
  if (lost === undefined) return adopted && [...adopted];
  if (adopted === undefined) return [...lost];
  return adopted.filter(({ id, method, path }) =>
    lost.some((other) => other.id === id && other.method === method && other.path === path),
  );
}

/** How it listens stays: a port allows nobody anything. */
export function narrowNode(adopted: Node, lost: Node): Node {
  return { ...adopted, services: adopted.services.filter((name) => lost.services.includes(name)) };
}

/** The default policy is the one that was named last: with none, the only released one would decide in its place. */
export function narrowSettings(adopted: Settings, lost: Settings): Settings {
  const { selectablePolicies } = adopted;
  const { defaultPolicy } = lost;
  const selectable = selectablePolicies?.filter((name) => lost.selectablePolicies?.includes(name));
  const authenticate = stricter(adopted.authenticate, lost.authenticate);
  return {
    ...(defaultPolicy !== undefined && { defaultPolicy }),
    ...(selectable !== undefined && { selectablePolicies: selectable }),
    ...(authenticate !== undefined && { authenticate }),
  };
}

const STRICTNESS: Readonly<Record<AuthenticateMode, number>> = { none: 0, either: 1, jwt: 2, mtls: 2 };

function stricter(
  adopted: AuthenticateMode | undefined,
  lost: AuthenticateMode | undefined,
): AuthenticateMode | undefined {
  return STRICTNESS[adopted ?? 'none'] > STRICTNESS[lost ?? 'none'] ? adopted : lost;
}
