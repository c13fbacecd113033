/**
 * Which parts of a document somebody can read: `true` is all of it, a map says of which members what. What nobody can
 * read need not be written.
 */
export type InputReads = true | ReadonlyMap<string, InputReads>;

/** @param paths  of member names; `[]` is the whole document; undefined: nobody knows, so all of it */
export function toInputReads(paths: readonly (readonly string[])[] | undefined): InputReads {
  if (paths === undefined) return true;
  const root = new Map<string, InputReads>();
  for (const path of paths) {
    if (path.length === 0) return true;
    add(root, path);
  }
  return root;
}

/** @returns undefined when nobody can read that member */
export function readsBelow(reads: InputReads, name: string): InputReads | undefined {
  return reads === true ? true : reads.get(name);
}

function add(root: Map<string, InputReads>, path: readonly string[]): void {
  let level = root;
  for (const name of path.slice(0, -1)) {
    const next = level.get(name) ?? new Map<string, InputReads>();
    if (next === true) return;
    level.set(name, next);
    level = next as Map<string, InputReads>;
  }
  level.set(path.at(-1) ?? '', true);
}
