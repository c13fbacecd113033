/** What a group must be: without a cycle, not too deep, not too large, and local where it has an owner. */
import type { FailureIssue } from '../core/failure.ts';
import { keyOf, splitGrantName, splitKey } from './objects.ts';
import { type Group, MAX_GROUP_APPS, MAX_GROUP_DEPTH } from './parties.ts';
import type { RegistryView } from './view.ts';

/** @param after  the registry with this group in it */
export function groupIssues(after: RegistryView, name: string, group: Group): readonly FailureIssue[] {
  const cycle = findCycle(after, name);
  return [
    ...ownerIssues(after, group),
    ...memberIssues(after, group),
    ...(cycle === undefined
      ? sizeIssues(after, name)
      : [
          {
            pointer: '/members',
            code: 'cycle',
            message: `a group may not contain itself: ${cycle.join(' → ')}`,
          },
        ]),
    ...localityIssues(after, name, group),
  ];
}

function ownerIssues(after: RegistryView, { owner }: Group): readonly FailureIssue[] {
  return owner === undefined || after.app(owner) !== undefined
    ? []
    : [{ pointer: '/owner', message: `there is no app "${owner}"` }];
}

function memberIssues(after: RegistryView, { owner, members }: Group): readonly FailureIssue[] {
  // not `uniqueItems`: validators compare each object with each other one
  const seen = new Set<string>();
  return members.flatMap((member, index): readonly FailureIssue[] => {
    const key = 'app' in member ? `app/${member.app}` : `group/${member.group}`;
    if (seen.has(key)) return [{ pointer: `/members/${index}`, message: 'is there twice' }];
    seen.add(key);
    if ('app' in member) {
      return after.app(member.app) === undefined
        ? [{ pointer: `/members/${index}/app`, message: `there is no app "${member.app}"` }]
        : [];
    }
    const pointer = `/members/${index}/group`;
    const group = after.group(member.group)?.value;
    if (group === undefined) return [{ pointer, message: `there is no group "${member.group}"` }];
    return group.owner === undefined || group.owner === owner
      ? []
      : [{ pointer, message: `group "${member.group}" is local to "${group.owner}"` }];
  });
}

/** @returns the names along a cycle through this group, first and last the same */
function findCycle(view: RegistryView, start: string): readonly string[] | undefined {
  const seen = new Set<string>();
  const visit = (name: string, path: readonly string[]): readonly string[] | undefined => {
    for (const inner of groupsIn(view, name)) {
      if (inner === start) return [...path, inner];
      if (seen.has(inner)) continue;
      seen.add(inner);
      const found = visit(inner, [...path, inner]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return visit(start, [start]);
}

/** A change counts for the groups around it as well. */
function sizeIssues(after: RegistryView, name: string): readonly FailureIssue[] {
  const issues: FailureIssue[] = [];
  const depth = depthBelow(after, name, new Map()) + depthAbove(after, name, new Map()) - 1;
  if (depth > MAX_GROUP_DEPTH) {
    issues.push({
      pointer: '/members',
      message: `groups would be nested ${depth} deep, and ${MAX_GROUP_DEPTH} is the most`,
    });
  }
  for (const each of [name, ...groupsAround(after, name)]) {
    const { size } = after.appsOf(each);
    if (size > MAX_GROUP_APPS) {
      issues.push({
        pointer: '/members',
        message: `group "${each}" would have ${size} apps, and ${MAX_GROUP_APPS} is the most`,
      });
    }
  }
  return issues;
}

/** Whoever names a local group is local to the same app: a grant by its service, a group by its owner. */
function localityIssues(after: RegistryView, name: string, { owner }: Group): readonly FailureIssue[] {
  if (owner === undefined) return [];
  return after.referents(keyOf('group', name)).flatMap((key) => {
    const [kind, referent] = splitKey(key);
    const other =
      kind === 'group'
        ? after.group(referent)?.value.owner
        : after.service(splitGrantName(referent)[0])?.value.owner;
    return other === owner
      ? []
      : [{ pointer: '/owner', message: `${kind} "${referent}" names this group, and is not of "${owner}"` }];
  });
}

function depthBelow(view: RegistryView, name: string, known: Map<string, number>): number {
  return depth(name, known, (each) => groupsIn(view, each));
}

function depthAbove(view: RegistryView, name: string, known: Map<string, number>): number {
  return depth(name, known, (each) => groupsOver(view, each));
}

function depth(name: string, known: Map<string, number>, next: (name: string) => readonly string[]): number {
  const found = known.get(name);
  if (found !== undefined) return found;
  // whoever comes here again before this is known is in a cycle of other groups, which these are told of
  known.set(name, 1);
  const result = 1 + Math.max(0, ...next(name).map((each) => depth(each, known, next)));
  known.set(name, result);
  return result;
}

function groupsIn(view: RegistryView, name: string): readonly string[] {
  return (view.group(name)?.value.members ?? []).flatMap((each) => ('group' in each ? [each.group] : []));
}

function groupsOver(view: RegistryView, name: string): readonly string[] {
  return view.referents(keyOf('group', name)).flatMap((key) => {
    const [kind, referent] = splitKey(key);
    return kind === 'group' ? [referent] : [];
  });
}

function groupsAround(view: RegistryView, name: string): readonly string[] {
  const seen = new Set<string>();
  const visit = (each: string): void => {
    for (const over of groupsOver(view, each)) {
      if (seen.has(over)) continue;
      seen.add(over);
      visit(over);
    }
  };
  visit(name);
  return [...seen];
}
