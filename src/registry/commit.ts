/**
 * Commits registry changes: each function checks one change against the present state and answers what to append.
 * Everything that is wrong is told at once.
 *
 * Whether an object may be changed by this caller (If-Match, scopes), and whether a named policy exists, is known
 * elsewhere and not asked here.
 */
import { Failure, type FailureIssue } from '../core/failure.ts';
import type { JsonObject } from '../core/json.ts';
import { isSpiffeId } from '../core/spiffe-id.ts';
import type { Draft } from '../journal/journal.ts';
import type { EntryKind } from '../journal/kinds.ts';
import {
  ANY_OPERATION,
  type Grant,
  grantSchema,
  type Node,
  nameSchema,
  nodeSchema,
  type Service,
  type Settings,
  serviceSchema,
  settingsSchema,
} from './model.ts';
import { nodeIssues, overlapIssues } from './node-rules.ts';
import { schemaIssues } from './schema-issues.ts';
import { operationIds, serviceIssues } from './service-rules.ts';
import type { RegistryView } from './state.ts';

/** @throws Failure registry_rejected */
export function putService(view: RegistryView, name: string, service: Service): Draft {
  refuseIf([...nameIssues(name), ...schemaIssues(serviceSchema, service)]);
  refuseIf([
    ...serviceIssues(service),
    ...issuesWithGrants(view, name, service),
    ...issuesWithNodes(view, name, service),
  ]);
  return draft('registry.service.put', { name, service });
}

/** @throws Failure not_found, registry_rejected */
export function deleteService(view: RegistryView, name: string): Draft {
  found(view.service(name), `there is no service "${name}"`);
  const nodes = view.nodesOfService(name);
  const grants = view.grantsOf(name).map((grant) => grant.name);
  refuseIf([
    ...(nodes.length > 0 ? [{ pointer: '', message: `nodes name this service: ${nodes.join(', ')}` }] : []),
    ...(grants.length > 0 ? [{ pointer: '', message: `this service has grants: ${grants.join(', ')}` }] : []),
  ]);
  return draft('registry.service.delete', { name });
}

/** @throws Failure not_found (the service), registry_rejected */
export function putGrant(view: RegistryView, service: string, id: string, grant: Grant): Draft {
  const { value: target } = found(view.service(service), `there is no service "${service}"`);
  refuseIf([...nameIssues(id), ...schemaIssues(grantSchema, grant)]);
  const issues: FailureIssue[] = [];
  if (target.access === 'policy') {
    issues.push({ pointer: '', message: `access of service "${service}" is "policy": it takes no grants` });
  }
  if (!isSpiffeId(grant.subject.spiffe)) {
    issues.push({ pointer: '/subject/spiffe', message: 'must be the SPIFFE ID of a workload' });
  }
  refuseIf([...issues, ...grantedOperationIssues(grant, target)]);
  return draft('registry.grant.put', { service, id, grant });
}

/** @throws Failure not_found */
export function deleteGrant(view: RegistryView, service: string, id: string): Draft {
  found(view.grant(service, id), `service "${service}" has no grant "${id}"`);
  return draft('registry.grant.delete', { service, id });
}

/** @throws Failure registry_rejected */
export function putNode(view: RegistryView, id: string, node: Node): Draft {
  refuseIf([...nameIssues(id), ...schemaIssues(nodeSchema, node)]);
  refuseIf(nodeIssues(node, (name) => view.service(name)?.value));
  return draft('registry.node.put', { id, node });
}

/** @throws Failure not_found */
export function deleteNode(view: RegistryView, id: string): Draft {
  found(view.node(id), `there is no node "${id}"`);
  return draft('registry.node.delete', { id });
}

/** @throws Failure registry_rejected */
export function putSettings(_view: RegistryView, settings: Settings): Draft {
  refuseIf(schemaIssues(settingsSchema, settings));
  return draft('settings.put', { settings });
}

/** Grants must stay meaningful: a change of the service may not orphan one. */
function issuesWithGrants(view: RegistryView, name: string, service: Service): readonly FailureIssue[] {
  const grants = view.grantsOf(name);
  if (service.access === 'policy' && grants.length > 0) {
    const names = grants.map((grant) => grant.name).join(', ');
    return [{ pointer: '/access', message: `"policy" takes no grants, and this service has: ${names}` }];
  }
  const known = operationIds(service);
  return grants.flatMap(({ name: id, value }) =>
    value.operations
      .filter((operation) => operation !== ANY_OPERATION && !known.has(operation))
      .map((operation) => ({
        pointer: '/operations',
        message: `grant "${id}" names the operation "${operation}", which would be gone`,
      })),
  );
}

/** A change of hosts or prefix may not collide with another service of a node. */
function issuesWithNodes(view: RegistryView, name: string, service: Service): readonly FailureIssue[] {
  return view.nodesOfService(name).flatMap((id) => {
    const others = (view.node(id)?.value.services ?? []).filter((other) => other !== name);
    return others.flatMap((other) => {
      const otherService = view.service(other)?.value;
      return otherService === undefined ? [] : overlapIssues(service, other, otherService, id);
    });
  });
}

function grantedOperationIssues(grant: Grant, service: Service): readonly FailureIssue[] {
  if (grant.operations.includes(ANY_OPERATION)) {
    return grant.operations.length === 1
      ? []
      : [{ pointer: '/operations', message: `"${ANY_OPERATION}" stands alone` }];
  }
  const known = operationIds(service);
  return grant.operations.flatMap((operation, index) =>
    known.has(operation)
      ? []
      : [{ pointer: `/operations/${index}`, message: `the service has no operation "${operation}"` }],
  );
}

function nameIssues(name: string): readonly FailureIssue[] {
  return schemaIssues(nameSchema, name).map(() => ({
    pointer: '',
    message: `"${name}" is not a name: 1 to 63 of a-z, 0-9, ".", "_" and "-"`,
  }));
}

function found<T>(record: T | undefined, detail: string): T {
  if (record === undefined) throw new Failure('not_found', detail);
  return record;
}

function refuseIf(issues: readonly FailureIssue[]): void {
  const [first] = issues;
  if (first === undefined) return;
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : '';
  throw new Failure('registry_rejected', `${first.pointer ?? ''} ${first.message}${more}`.trim(), { issues });
}

function draft(kind: EntryKind, body: object): Draft {
  return { kind, body: body as JsonObject };
}
