/** What is wrong with one change, judged in the state after all the changes that are made with it. */
import type { FailureIssue } from '../core/failure.ts';
import { isTrustDomain } from '../core/spiffe-id.ts';
import { grantIssues } from './grant-rules.ts';
import { groupIssues } from './group-rules.ts';
import { ANY_OPERATION, nameSchema, type Service } from './model.ts';
import { nodeGroupIssues, nodeIssues, serviceOverlapIssues } from './node-rules.ts';
import {
  keyOf,
  namedMemberPlace,
  type RegistryChange,
  SCHEMAS,
  splitGrantName,
  splitKey,
} from './objects.ts';
import { appNameSchema, memberNameSchema, memberOfApp } from './parties.ts';
import { schemaIssues } from './schema-issues.ts';
import { operationIds, serviceIssues } from './service-rules.ts';
import { noticeIssues, transitionIssues } from './states.ts';
import type { RegistryView } from './view.ts';

/** Form first: the rules take it for granted. */
export function formIssues({ kind, name, value }: RegistryChange): readonly FailureIssue[] {
  return [...nameIssues(kind, name), ...(value === undefined ? [] : schemaIssues(SCHEMAS[kind], value))];
}

/** @param change  of the right form */
export function ruleIssues(
  before: RegistryView,
  after: RegistryView,
  change: RegistryChange,
): readonly FailureIssue[] {
  if (change.value === undefined) return deletionIssues(after, change);
  const { kind, name, value } = change;
  switch (kind) {
    case 'member':
      return partyIssues(before.member(name)?.value, value);
    case 'app':
      return [...appIssues(after, name), ...partyIssues(before.app(name)?.value, value)];
    case 'group':
      return groupIssues(after, name, value);
    case 'service':
      return [
        ...serviceIssues(value),
        ...noticeIssues(value.state, value.notice),
        ...serviceOwnerIssues(after, value),
        ...grantsOfServiceIssues(before, after, name, value),
        ...serviceOverlapIssues(after, name, value),
      ];
    case 'grant': {
      const service = after.service(splitGrantName(name)[0]);
      return service === undefined
        ? [{ pointer: '', message: `there is no service "${splitGrantName(name)[0]}"` }]
        : grantIssues(after, value, service);
    }
    case 'node':
      return nodeIssues(after, name, value);
    case 'node-group':
      return nodeGroupIssues(after, value);
    case 'settings':
      return [];
    default:
      return kind satisfies never;
  }
}

type Party = Parameters<typeof partyIssues>[1];

function partyIssues(
  before: { readonly state: Party['state'] } | undefined,
  after: { readonly state: Parameters<typeof transitionIssues>[1]; readonly notice?: string | undefined },
): readonly FailureIssue[] {
  return [...transitionIssues(before?.state, after.state), ...noticeIssues(after.state, after.notice)];
}

function appIssues(after: RegistryView, name: string): readonly FailureIssue[] {
  const member = memberOfApp(name);
  return [
    ...(after.member(member) === undefined
      ? [{ pointer: '', message: `there is no member "${member}"` }]
      : []),
    ...(isTrustDomain(after.instance())
      ? []
      : [{ pointer: '', message: 'the name of this instance cannot be a trust domain of SPIFFE IDs' }]),
  ];
}

function serviceOwnerIssues(after: RegistryView, { owner }: Service): readonly FailureIssue[] {
  return owner === undefined || after.app(owner) !== undefined
    ? []
    : [{ pointer: '/owner', message: `there is no app "${owner}"` }];
}

/** Grants must stay meaningful: a change of the service may not orphan one. */
function grantsOfServiceIssues(
  before: RegistryView,
  after: RegistryView,
  name: string,
  service: Service,
): readonly FailureIssue[] {
  // one that is changed with it is judged by itself
  const grants = after.grantsOf(name).filter((grant) => before.grant(name, grant.name) === grant);
  if (service.access === 'policy' && grants.length > 0) {
    const names = grants.map((grant) => grant.name).join(', ');
    return [{ pointer: '/access', message: `"policy" takes no grants, and this service has: ${names}` }];
  }
  const known = operationIds(service);
  return grants.flatMap(({ name: id, value: { operations, subject } }) => {
    const group = 'group' in subject ? after.group(subject.group)?.value : undefined;
    return [
      ...operations
        .filter((operation) => operation !== ANY_OPERATION && !known.has(operation))
        .map((operation) => ({
          pointer: '/operations',
          message: `grant "${id}" names the operation "${operation}", which would be gone`,
        })),
      ...(group?.owner === undefined || group.owner === service.owner
        ? []
        : [{ pointer: '/owner', message: `grant "${id}" names a group that is local to "${group.owner}"` }]),
    ];
  });
}

/** What is named by others stays. */
function deletionIssues(after: RegistryView, { kind, name }: RegistryChange): readonly FailureIssue[] {
  const keys = [
    ...after.referents(keyOf(kind, name)),
    ...(kind === 'app' ? after.referents(`spiffe/${after.spiffeOf(name)}`) : []),
    ...(kind === 'member' ? after.referents(namedMemberPlace(name)) : []),
  ];
  const byKind = new Map<string, Set<string>>();
  for (const key of keys) {
    const [referentKind, referent] = splitKey(key);
    // its own grants are named by their ids
    const shown = kind === 'service' && referentKind === 'grant' ? splitGrantName(referent)[1] : referent;
    byKind.set(referentKind, (byKind.get(referentKind) ?? new Set()).add(shown));
  }
  const grantsLast = [...byKind].sort(([a], [b]) => Number(a === 'grant') - Number(b === 'grant'));
  return grantsLast.map(([referentKind, names]) => {
    const list = [...names].sort().join(', ');
    const message =
      kind === 'service' && referentKind === 'grant'
        ? `this service has grants: ${list}`
        : `${referentKind}s name this ${kind}: ${list}`;
    return { pointer: '', message };
  });
}

function nameIssues(kind: RegistryChange['kind'], name: string): readonly FailureIssue[] {
  switch (kind) {
    case 'member':
      return refuseName(memberNameSchema, name, 'the name of a member: <class>/<code>');
    case 'app':
      return refuseName(appNameSchema, name, 'the name of an app: <class>/<member>/<app>');
    case 'grant':
      return splitGrantName(name).flatMap(plainNameIssues);
    case 'settings':
      return [];
    case 'group':
    case 'service':
    case 'node':
    case 'node-group':
      return plainNameIssues(name);
    default:
      return kind satisfies never;
  }
}

function plainNameIssues(name: string): readonly FailureIssue[] {
  return refuseName(nameSchema, name, 'a name: 1 to 63 of a-z, 0-9, ".", "_" and "-"');
}

function refuseName(
  schema: Parameters<typeof schemaIssues>[0],
  name: string,
  what: string,
): readonly FailureIssue[] {
  return schemaIssues(schema, name).map(() => ({ pointer: '', message: `"${name}" is not ${what}` }));
}
