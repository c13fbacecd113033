/**
 * What policy authors name on the command line: files and folders. Of a folder all `*.rego` are read, and of data what
 * a bundle would hold: `data.json`, `data.yaml` and `data.yml`, each below the path of its folder. A data file that is
 * named itself is read whatever it is called.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, extname, join, matchesGlob, normalize } from 'node:path';
import { Failure } from '../core/failure.ts';
import type { DataFile } from '../rego/author-messages.ts';

export interface PolicyFiles {
  /** file name, as it was named and below it, to text */
  readonly modules: Readonly<Record<string, string>>;
  readonly data: readonly DataFile[];
}

interface Found {
  /** from the working directory, or absolute, as it was named */
  readonly name: string;
  /** of its folder, below the path that was named */
  readonly folder: readonly string[];
}

const DATA_NAMES = new Set(['data.json', 'data.yaml', 'data.yml']);
const DATA_EXTENSIONS = new Set(['.json', '.yaml', '.yml']);
const REGO = '.rego';

/**
 * @param ignore  patterns on the names of files and folders below the paths, `*` and `?` as in a shell; whatever
 *                begins with a dot is left out anyway
 * @throws Failure not_found  a path that is not there; policy_rejected  a file that is not UTF-8
 */
export function readPolicyPaths(paths: readonly string[], ignore: readonly string[] = []): PolicyFiles {
  const found = new Map(paths.flatMap((path) => find(path, ignore)).map((each) => [each.name, each]));
  const files = [...found.values()];
  const modules = files.filter(({ name }) => extname(name) === REGO);
  return {
    modules: Object.fromEntries(modules.map(({ name }) => [name, readText(name)])),
    data: files
      .filter(({ name }) => extname(name) !== REGO)
      .map(({ name, folder }) => ({ name, path: folder, text: readText(name) })),
  };
}

/** @throws Failure not_found, policy_rejected  as above, and when there is no Rego at all */
export function readPolicies(paths: readonly string[], ignore: readonly string[] = []): PolicyFiles {
  const files = readPolicyPaths(paths, ignore);
  if (Object.keys(files.modules).length === 0) {
    throw new Failure('policy_rejected', `There is no .rego file in ${paths.join(', ')}`);
  }
  return files;
}

/** @throws Failure not_found, policy_rejected */
export function readText(path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path));
  } catch (cause) {
    if (cause instanceof TypeError) throw new Failure('policy_rejected', `${path} is not UTF-8`, { cause });
    throw new Failure('not_found', `${path} cannot be read`, { cause });
  }
}

function find(path: string, ignore: readonly string[]): readonly Found[] {
  const name = normalize(path);
  if (isFolder(name)) return list({ name, folder: [] }, ignore);
  const extension = extname(name);
  if (extension === REGO || DATA_EXTENSIONS.has(extension)) return [{ name, folder: [] }];
  throw new Failure('policy_rejected', `${path} is neither a folder nor Rego, JSON or YAML`);
}

function list({ name: root, folder }: Found, ignore: readonly string[]): readonly Found[] {
  return readdirSync(root)
    .filter((name) => !name.startsWith('.') && !ignore.some((pattern) => matchesGlob(name, pattern)))
    .sort()
    .flatMap((name) => {
      const path = join(root, name);
      if (isFolder(path)) return list({ name: path, folder: [...folder, name] }, ignore);
      return extname(name) === REGO || DATA_NAMES.has(basename(name)) ? [{ name: path, folder }] : [];
    });
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw new Failure('not_found', `There is no ${path}`, { cause });
  }
}
