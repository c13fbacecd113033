/**
 * Who may do what with a service, as SPIFFE IDs: groups are expanded, what is denied is subtracted, and what has ended
 * or is not registered is not there. Tier 1 enforces exactly this.
 */
import { isLive } from './expiry.ts';
import type { Grant } from './model.ts';
import { covers, type RegistryView } from './view.ts';

/** SPIFFE ID → id of the first grant that says so */
export type Subjects = ReadonlyMap<string, string>;

interface Resolved {
  readonly id: string;
  readonly grant: Grant;
  readonly spiffes: readonly string[];
}

/** @returns for each operation who may use it; `*` is the one of a service that names none */
export function subjectsOf(
  view: RegistryView,
  service: string,
  atMs: number,
): (operation: string) => Subjects {
  const live: readonly Resolved[] = view
    .grantsOf(service)
    .filter(({ value }) => isLive(value, atMs))
    .map(({ name, value }) => ({ id: name, grant: value, spiffes: spiffesOf(view, value) }));
  const denies = live.filter(({ grant }) => grant.effect === 'deny');
  const allows = live.filter(({ grant }) => grant.effect !== 'deny');
  return (operation) => {
    const denied = new Set(
      denies.filter(({ grant }) => covers(grant, operation)).flatMap(({ spiffes }) => spiffes),
    );
    const subjects = new Map<string, string>();
    for (const { id, grant, spiffes } of allows) {
      if (!covers(grant, operation)) continue;
      for (const spiffe of spiffes) {
        if (!denied.has(spiffe) && !subjects.has(spiffe)) subjects.set(spiffe, id);
      }
    }
    return subjects;
  };
}

/** Who is not in effect is not there, for a deny either: nothing allows it anything. */
function spiffesOf(view: RegistryView, { subject }: Grant): readonly string[] {
  if ('spiffe' in subject) return view.isBarred(subject.spiffe) ? [] : [subject.spiffe];
  const apps = 'app' in subject ? [subject.app] : [...view.appsOf(subject.group)];
  return apps.filter((app) => view.isInEffect(app)).map((app) => view.spiffeOf(app));
}
