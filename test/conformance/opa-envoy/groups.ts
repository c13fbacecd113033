/** How both sides are started for the cases of a group, and the policy that both run. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ContractCase, Group } from './case.ts';

const HERE = dirname(fileURLToPath(import.meta.url));
const BUF = fileURLToPath(new URL('../../../node_modules/.bin/buf', import.meta.url));

interface GroupOptions {
  /** `--set` of ours */
  readonly ours: (descriptorFile: string) => readonly string[];
  /** `--set` of the plugin, below `plugins.envoy_ext_authz_grpc` */
  readonly peer: (descriptorFile: string) => readonly string[];
}

export const GROUPS: Readonly<Record<Group, GroupOptions>> = {
  plain: {
    ours: (file) => [`authz.protoDescriptorFile=${file}`],
    peer: (file) => [`proto-descriptor=${file}`],
  },
  'no-descriptor': { ours: () => [], peer: () => [] },
  'no-bodies': {
    ours: () => ['authz.parseBodies=false'],
    peer: () => ['skip-request-body-parse=true'],
  },
  'dry-run': { ours: () => ['authz.dryRun=true'], peer: () => ['dry-run=true'] },
};

/** One module per case, and one that picks the case that the context extension `case` names. */
export function policyModules(cases: readonly ContractCase[]): Readonly<Record<string, string>> {
  const picks = cases.map(({ id }) =>
    id === 'bare'
      ? 'allow := data.cases.bare.allow if not input.attributes.contextExtensions'
      : `allow := data.cases.${id}.allow if input.attributes.contextExtensions.case == "${id}"`,
  );
  const modules = cases.map(({ id, policy }): [string, string] => {
    const rules = /:=|\bif\b/.test(policy) ? policy : `allow := ${policy}`;
    return [`${id}.rego`, `package cases.${id}\n\n${rules}\n`];
  });
  return {
    'pick.rego': `package envoy.authz\n\n${[...new Set(picks)].join('\n\n')}\n`,
    ...Object.fromEntries(modules),
  };
}

export function writeDescriptorSet(folder: string): string {
  const file = join(folder, 'orders.binpb');
  execFileSync(BUF, ['build', join(HERE, 'orders.proto'), '--as-file-descriptor-set', '-o', file], {
    cwd: HERE,
  });
  return file;
}

export function writePolicies(cases: readonly ContractCase[], folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(policyModules(cases))) writeFileSync(join(folder, name), text);
}
