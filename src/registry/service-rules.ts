/** What a service must be beyond its schema. */
import { isIP } from 'node:net';
import type { FailureIssue } from '../core/failure.ts';
import { PROBE_HOST } from '../core/probe.ts';
import { ANY_OPERATION, type Operation, type Service } from './model.ts';
import { isBelow, parsePath, shapeOf } from './path-template.ts';

const LABEL = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';
const HOST_NAME = new RegExp(`^${LABEL}(\\.${LABEL})*$`);

export function serviceIssues(service: Service): readonly FailureIssue[] {
  return [
    ...accessIssues(service),
    ...hostIssues(service.hosts),
    ...prefixIssues(service.prefix),
    ...operationIssues(service.operations ?? [], service.prefix),
    ...endpointIssues(service),
  ];
}

/** Ids that a grant may name; a service without operations has only `*`. */
export function operationIds(service: Service): ReadonlySet<string> {
  return new Set(service.operations?.map(({ id }) => id) ?? []);
}

export function isPlainIp(address: string): boolean {
  // a zone (`fe80::1%eth0`) passes isIP, but means something on one machine only
  return isIP(address) !== 0 && !address.includes('%');
}

/** With `grants` alone the policy is never asked: what speaks of it would be a promise that nobody keeps. */
function accessIssues({ access, policy, entrypoint, authenticate }: Service): readonly FailureIssue[] {
  if (access !== 'grants') {
    return policy === undefined
      ? [{ pointer: '/policy', message: `is required when access is "${access}"` }]
      : [];
  }
  return Object.entries({ policy, entrypoint, authenticate }).flatMap(([field, value]) =>
    value === undefined
      ? []
      : [{ pointer: `/${field}`, message: 'is not possible when access is "grants": no policy is asked' }],
  );
}

function hostIssues(hosts: readonly string[]): readonly FailureIssue[] {
  const seen = new Set<string>();
  return hosts.flatMap((host, index) => {
    const pointer = `/hosts/${index}`;
    if (seen.has(host)) return [{ pointer, message: `"${host}" is there twice` }];
    seen.add(host);
    if (host === PROBE_HOST) return [{ pointer, message: `"${host}" is where a node says what it enforces` }];
    if (host === '*' || HOST_NAME.test(host)) return [];
    return [{ pointer, message: 'must be a host name in lower case without port, an IPv4 address, or "*"' }];
  });
}

function prefixIssues(prefix: string): readonly FailureIssue[] {
  const parsed = parsePath(prefix);
  if (!parsed.ok) return [{ pointer: '/prefix', message: parsed.problem }];
  return parsed.segments.every((segment) => segment.kind === 'literal')
    ? []
    : [{ pointer: '/prefix', message: 'takes literal segments only' }];
}

function operationIssues(operations: readonly Operation[], prefix: string): readonly FailureIssue[] {
  const issues: FailureIssue[] = [];
  const ids = new Set<string>();
  const shapes = new Map<string, string>();
  for (const [index, { id, method, path }] of operations.entries()) {
    const at = `/operations/${index}`;
    if (id === ANY_OPERATION || ids.has(id)) {
      issues.push({ pointer: `${at}/id`, message: `"${id}" is there twice` });
    }
    ids.add(id);
    const parsed = parsePath(path);
    if (!parsed.ok) {
      issues.push({ pointer: `${at}/path`, message: parsed.problem });
      continue;
    }
    if (!isBelow(path, prefix)) issues.push({ pointer: `${at}/path`, message: `is not below "${prefix}"` });
    const shape = `${method} ${shapeOf(parsed.segments)}`;
    const other = shapes.get(shape);
    if (other !== undefined) {
      issues.push({ pointer: `${at}/path`, message: `matches the same requests as operation "${other}"` });
    }
    shapes.set(shape, id);
  }
  return issues;
}

function endpointIssues({ endpoints }: Service): readonly FailureIssue[] {
  const seen = new Set<string>();
  return endpoints.flatMap(({ address, port }, index) => {
    const key = `${address} ${port}`;
    if (!isPlainIp(address)) {
      return [{ pointer: `/endpoints/${index}/address`, message: 'must be an IP address' }];
    }
    if (seen.has(key)) return [{ pointer: `/endpoints/${index}`, message: 'is there twice' }];
    seen.add(key);
    return [];
  });
}
