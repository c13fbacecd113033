/** The roots of a bundle: which parts of OPA's `data` are its own (OPA, "Bundle File Format"). */
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';

type Modules = Readonly<Record<string, string>>;

/** A package path may be written `a.b`, or `a["b-c"]`. */
const PACKAGE = /^package\s+([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*|\["[^"\\\s/]+"\])*)\s*(?:$|;|#)/;

/**
 * The smallest list of roots that covers modules and data, so that one OPA can load several bundles beside each
 * other; `['']`, which is everything, where that cannot be told.
 */
export function rootsOf(modules: Modules, data: JsonObject): readonly string[] {
  const packages = Object.values(modules).map(packageOf);
  const names = Object.keys(data);
  if (packages.includes(undefined) || names.some((name) => name === '' || name.includes('/'))) return [''];
  const wanted = [...new Set([...packages.map((path) => path ?? ''), ...names])].sort();
  return wanted.filter((root) => !wanted.some((other) => other !== root && isBelow(root, other)));
}

/** @returns what is not below any of the roots: a module's file, or the path of a value in `data` */
export function outsideRoots(
  roots: readonly string[],
  modules: Modules,
  data: JsonObject,
): readonly string[] {
  const isInside = (path: string): boolean => roots.some((root) => isBelow(path, root));
  const files = Object.entries(modules)
    .filter(([, text]) => !isInside(packageOf(text) ?? ''))
    .map(([file]) => file);
  return [...files, ...outsideData(data, roots, '')];
}

/** Goes no deeper than the roots do. */
function outsideData(data: JsonObject, roots: readonly string[], above: string): readonly string[] {
  return Object.entries(data).flatMap(([name, value]: [string, Json]) => {
    const path = above + name;
    if (roots.some((root) => isBelow(path, root))) return [];
    const holdsRoot = isJsonObject(value) && roots.some((root) => isBelow(root, path));
    return holdsRoot ? outsideData(value, roots, `${path}/`) : [`data/${path}`];
  });
}

function isBelow(path: string, root: string): boolean {
  return root === '' || path === root || path.startsWith(`${root}/`);
}

/** @returns the slash path below `data`; undefined when only the compiler could tell */
function packageOf(text: string): string | undefined {
  const line = text.split('\n').find((each) => !/^\s*(#|$)/.test(each)) ?? '';
  const [, first, rest = ''] = PACKAGE.exec(line.trim()) ?? [];
  if (first === undefined) return undefined;
  const more = [...rest.matchAll(/\.(\w+)|\["([^"]+)"\]/g)].map(([, name, quoted]) => name ?? quoted);
  return [first, ...more].join('/');
}
