/** What a grant must be beyond its schema. */
import type { FailureIssue } from '../core/failure.ts';
import { isSpiffeId } from '../core/spiffe-id.ts';
import { parseInstant } from './expiry.ts';
import { ANY_OPERATION, type Grant, type Service } from './model.ts';
import { operationIds } from './service-rules.ts';
import type { RegistryView } from './view.ts';

/** @param after  the registry with this grant in it; its service is there */
export function grantIssues(
  after: RegistryView,
  grant: Grant,
  { name, value: service }: { readonly name: string; readonly value: Service },
): readonly FailureIssue[] {
  return [
    ...(service.access === 'policy'
      ? [{ pointer: '', message: `access of service "${name}" is "policy": it takes no grants` }]
      : []),
    ...subjectIssues(after, grant, service),
    ...endIssues(grant),
    ...operationIssues(grant, service),
  ];
}

function subjectIssues(after: RegistryView, { subject }: Grant, service: Service): readonly FailureIssue[] {
  if ('spiffe' in subject) {
    return isSpiffeId(subject.spiffe)
      ? []
      : [{ pointer: '/subject/spiffe', message: 'must be the SPIFFE ID of a workload' }];
  }
  if ('app' in subject) {
    return after.app(subject.app) === undefined
      ? [{ pointer: '/subject/app', message: `there is no app "${subject.app}"` }]
      : [];
  }
  const pointer = '/subject/group';
  const group = after.group(subject.group)?.value;
  if (group === undefined) return [{ pointer, message: `there is no group "${subject.group}"` }];
  return group.owner === undefined || group.owner === service.owner
    ? []
    : [
        {
          pointer,
          message: `group "${subject.group}" is local to "${group.owner}", which does not own the service`,
        },
      ];
}

/** Expiry only takes away: a deny that ended would open something without anybody's doing. */
function endIssues({ effect, expiresAt }: Grant): readonly FailureIssue[] {
  if (expiresAt === undefined) return [];
  const pointer = '/expiresAt';
  if (effect === 'deny') return [{ pointer, message: 'is not possible when effect is "deny"' }];
  return parseInstant(expiresAt) === undefined ? [{ pointer, message: 'is not a time that there is' }] : [];
}

function operationIssues({ operations }: Grant, service: Service): readonly FailureIssue[] {
  if (operations.includes(ANY_OPERATION)) {
    return operations.length === 1
      ? []
      : [{ pointer: '/operations', message: `"${ANY_OPERATION}" stands alone` }];
  }
  const known = operationIds(service);
  return operations.flatMap((operation, index) =>
    known.has(operation)
      ? []
      : [{ pointer: `/operations/${index}`, message: `the service has no operation "${operation}"` }],
  );
}
