/**
 * Paths of operations: literal segments or `{name}`, which stands for exactly one segment.
 *
 * Literals are what Envoy sees after its normalisation and what no back end reads in another way: no `.` and `..`,
 * no empty segment, no percent-encoding, no `;`, `?`, `#` or backslash.
 */
export type Segment =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'parameter'; readonly name: string };

export type ParsedPath =
  | { readonly ok: true; readonly segments: readonly Segment[] }
  | { readonly ok: false; readonly problem: string };

/** pchar of RFC 3986 without `%` and `;` */
const LITERAL = /^[A-Za-z0-9._~!$&'()*+,=:@-]+$/;
const PARAMETER = /^\{([A-Za-z_][A-Za-z0-9_-]*)\}$/;

/** `/` has no segments. */
export function parsePath(path: string): ParsedPath {
  if (!path.startsWith('/')) return refuse('must start with "/"');
  if (path === '/') return { ok: true, segments: [] };
  const segments: Segment[] = [];
  for (const text of path.slice(1).split('/')) {
    const segment = parseSegment(text);
    if (typeof segment === 'string') return refuse(segment);
    segments.push(segment);
  }
  const names = segments.flatMap((segment) => (segment.kind === 'parameter' ? [segment.name] : []));
  if (new Set(names).size < names.length) return refuse('names a parameter twice');
  return { ok: true, segments };
}

function refuse(problem: string): ParsedPath {
  return { ok: false, problem };
}

function parseSegment(text: string): Segment | string {
  if (text === '') return 'has an empty segment';
  if (text === '.' || text === '..') return `has the segment "${text}"`;
  const name = PARAMETER.exec(text)?.[1];
  if (name !== undefined) return { kind: 'parameter', name };
  if (!LITERAL.test(text)) {
    return `has the segment "${text}": a segment is "{name}", or letters, digits and -._~!$&'()*+,=:@`;
  }
  return { kind: 'literal', text };
}

/** Two templates of one shape match the same paths: `/a/{x}` and `/a/{y}`. */
export function shapeOf(segments: readonly Segment[]): string {
  return `/${segments.map((segment) => (segment.kind === 'literal' ? segment.text : '{}')).join('/')}`;
}

/** Orders templates so that, of two that match one path, the one with the leftmost literal comes first. */
export function comparePrecedence(a: readonly Segment[], b: readonly Segment[]): number {
  for (const [index, left] of a.entries()) {
    const right = b[index];
    if (right === undefined) return 1;
    if (left.kind !== right.kind) return left.kind === 'literal' ? -1 : 1;
    if (left.kind === 'literal' && right.kind === 'literal' && left.text !== right.text) {
      return left.text < right.text ? -1 : 1;
    }
  }
  return a.length - b.length;
}

/** Whether a path lies at or below a prefix that ends at a segment. */
export function isBelow(path: string, prefix: string): boolean {
  return prefix === '/' || path === prefix || path.startsWith(`${prefix}/`);
}
