/** Policies that the registry names: whether they exist is known to `policy`, not to the registry. */
import { Failure, type FailureIssue } from '../core/failure.ts';
import type { Service, Settings } from '../registry/model.ts';
import type { RegistryChange } from '../registry/objects.ts';

export type NamedPolicy = readonly [pointer: string, name: string];

export function policiesOfService({ policy }: Service): readonly NamedPolicy[] {
  return policy === undefined ? [] : [['/policy', policy]];
}

export function policiesOfSettings({
  defaultPolicy,
  selectablePolicies = [],
}: Settings): readonly NamedPolicy[] {
  return [
    ...(defaultPolicy === undefined ? [] : [['/defaultPolicy', defaultPolicy] as const]),
    ...selectablePolicies.map((name, index) => [`/selectablePolicies/${index}`, name] as const),
  ];
}

export function policiesOfChange({ kind, value }: RegistryChange): readonly NamedPolicy[] {
  if (value === undefined) return [];
  if (kind === 'service') return policiesOfService(value);
  return kind === 'settings' ? policiesOfSettings(value) : [];
}

/** A misspelt name would be found by the first request, as 503. @throws Failure registry_rejected */
export function refuseUnknownPolicies(
  isPolicy: (name: string) => boolean,
  named: readonly NamedPolicy[],
): void {
  const issues = named
    .filter(([, name]) => !isPolicy(name))
    .map(
      ([pointer, name]): FailureIssue => ({
        pointer,
        code: 'policy_unknown',
        message: `there is no policy "${name}"; publish it first`,
      }),
    );
  if (issues.length > 0)
    throw new Failure('registry_rejected', 'a policy is named that does not exist', { issues });
}
