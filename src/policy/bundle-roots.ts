/** The roots of a bundle: which parts of OPA's `data` are its own (OPA, "Bundle File Format"). */
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';

type Modules = Readonly<Record<string, string>>;

/** Each is compared with each: more than these, or longer ones, are no roots that anybody wrote. */
export const MAX_ROOTS = 1_024;
export const MAX_ROOT_LENGTH = 253;

/** A package path may be written `a.b`, or `a["b-c"]`. */
const PACKAGE = /^package\s+([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*|\["[^"\\\s/]+"\])*)\s*(?:$|;|#)/;

/**
 * The smallest list of roots that covers modules and data, so that one OPA can load several bundles beside each
 * other; `['']`, which is everything, where that cannot be told, or they would be too many.
 */
export function rootsOf(modules: Modules, data: JsonObject): readonly string[] {
  const packages = Object.values(modules).map(packageOf);
  const names = Object.keys(data);
  if (packages.includes(undefined) || names.some((name) => name === '' || name.includes('/'))) return [''];
  const wanted = [...new Set([...packages.map((path) => path ?? ''), ...names])].sort();
  if (wanted.length > MAX_ROOTS || wanted.some(({ length }) => length > MAX_ROOT_LENGTH)) return [''];
  return wanted.filter((root) => !wanted.some((other) => other !== root && isBelow(root, other)));
}

/**
 * @param roots  at most `MAX_ROOTS`, none longer than `MAX_ROOT_LENGTH`
 * @returns what is not below any of the roots: a module's file, or the path of a value in `data`
 */
export function outsideRoots(
  roots: readonly string[],
  modules: Modules,
  data: JsonObject,
): readonly string[] {
  const isInside = (path: string): boolean => roots.some((root) => isBelow(path, root));
  const files = Object.entries(modules)
    .filter(([, text]) => !isInside(packageOf(text) ?? ''))
    .map(([file]) => file);
  return roots.includes('') ? files : [...files, ...outsideData(data, toPlaces(roots), '')];
}

interface Places {
  readonly roots: ReadonlySet<string>;
  /** what holds a root and is none itself, or is below one */
  readonly above: ReadonlySet<string>;
}

function toPlaces(roots: readonly string[]): Places {
  const above = new Set<string>();
  for (const root of roots) {
    for (let at = root.indexOf('/'); at > 0; at = root.indexOf('/', at + 1)) above.add(root.slice(0, at));
  }
  return { roots: new Set(roots), above };
}

/** Goes no deeper than the roots do: what is looked at here is below none of them. */
function outsideData(data: JsonObject, places: Places, above: string): readonly string[] {
  return Object.entries(data).flatMap(([name, value]: [string, Json]) => {
    const path = above + name;
    if (places.roots.has(path)) return [];
    const holdsRoot = isJsonObject(value) && places.above.has(path);
    return holdsRoot ? outsideData(value, places, `${path}/`) : [`data/${path}`];
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
