/**
 * `chancery build`: an OPA bundle with the compiled module, for whoever runs policies by another host. The module is
 * the one from the compiler, without the budget that Chancery weaves in when a policy is published.
 */
import { writeFileSync } from 'node:fs';
import { toCanonicalJson } from '../core/canonical-json.ts';
import { packBundle } from '../policy/bundle-archive.ts';
import { DEFAULT_ENTRYPOINTS } from '../policy/source.ts';
import { readSource, withToolchain } from './author-source.ts';

export interface BuildFlags {
  readonly entrypoint: readonly string[];
  readonly output: string;
  readonly revision: string;
  readonly ignore: readonly string[];
}

const MODULE = 'policy.wasm';

/** The same files give the same bytes. @returns 0 */
export async function buildCommand(paths: readonly string[], flags: BuildFlags): Promise<number> {
  const asked = flags.entrypoint.length === 0 ? DEFAULT_ENTRYPOINTS : flags.entrypoint;
  const { source, compiled } = await withToolchain(async (toolchain) => {
    const source = await readSource(paths, flags.ignore, toolchain);
    return { source, compiled: await toolchain.compile({ ...source, entrypoints: asked.map(toPath) }) };
  });
  const manifest = {
    revision: flags.revision,
    roots: [''],
    wasm: compiled.entrypoints.map((entrypoint) => ({ entrypoint, module: `/${MODULE}` })),
    rego_version: 1,
  };
  const isPolicy = ([name]: readonly [string, string]): boolean => !name.endsWith('_test.rego');
  const modules = Object.entries(source.modules).filter(isPolicy);
  const files = new Map<string, Uint8Array>([
    ['.manifest', Buffer.from(toCanonicalJson(manifest))],
    ['data.json', Buffer.from(toCanonicalJson(source.data ?? {}))],
    [MODULE, compiled.wasm],
    ...modules.map(([name, text]): [string, Uint8Array] => [toMember(name), Buffer.from(text)]),
  ]);
  writeFileSync(flags.output, await packBundle(files));
  return 0;
}

/** `data.envoy.authz.allow` and `envoy/authz/allow` are the same rule. */
function toPath(entrypoint: string): string {
  return entrypoint.startsWith('data.')
    ? entrypoint.slice('data.'.length).replaceAll('.', '/')
    : entrypoint.replace(/^\//, '');
}

/** A bundle has no parent folder, and no root of a disk. */
function toMember(name: string): string {
  return name
    .split(/[/\\]/)
    .filter((segment) => segment !== '..' && segment !== '')
    .join('/');
}
