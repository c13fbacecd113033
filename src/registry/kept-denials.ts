/**
 * What a lost part of the journal had taken away and no narrowed object says: a caller that left a group, or was denied.
 * It is found by who may do what, and kept as an explicit deny.
 */
import { sha256 } from '../core/digest.ts';
import { ANY_OPERATION, type Grant } from './model.ts';
import type { RegistryChange } from './objects.ts';
import { subjectsOf } from './subjects.ts';
import type { RegistryView } from './view.ts';

/**
 * What `fork` allowed, `lost` no longer allowed, and `narrowed` still allows.
 *
 * @param narrowed  the adopted registry with everything that is kept otherwise
 */
export function keptDenials(
  fork: RegistryView,
  narrowed: RegistryView,
  lost: RegistryView,
  atMs: number,
): readonly RegistryChange[] {
  return narrowed.services().flatMap(({ name, value }) => {
    const [before, after, now] = [fork, lost, narrowed].map((view) => subjectsOf(view, name, atMs));
    if (before === undefined || after === undefined || now === undefined || value.access === 'policy')
      return [];
    const operations = value.operations?.map(({ id }) => id) ?? [ANY_OPERATION];
    const denied = new Map<string, string[]>();
    for (const operation of operations) {
      const [was, is] = [before(operation), after(operation)];
      for (const spiffe of now(operation).keys()) {
        if (!was.has(spiffe) || is.has(spiffe)) continue;
        denied.set(spiffe, [...(denied.get(spiffe) ?? []), operation]);
      }
    }
    return [...denied].map(([spiffe, of]): RegistryChange => {
      const id = `kept-deny-${sha256(spiffe).slice('sha256:'.length, 'sha256:'.length + 24)}`;
      // one of an earlier adoption goes on
      const kept = narrowed.grant(name, id)?.value.operations ?? [];
      const grant: Grant = {
        subject: subjectOf(narrowed, spiffe),
        operations: [...new Set([...kept, ...of])],
        effect: 'deny',
      };
      return { kind: 'grant', name: `${name}/${id}`, value: grant };
    });
  });
}

/** An app is named as such: the states of an adoption know no instance. */
function subjectOf(view: RegistryView, spiffe: string): Grant['subject'] {
  const app = spiffe.slice(view.spiffeOf('').length);
  return spiffe === view.spiffeOf(app) && view.app(app) !== undefined ? { app } : { spiffe };
}
