/** Rules of many kinds, and inputs for them: what is compared before and after metering. */
export interface MeteredPolicy {
  readonly name: string;
  /** of the package `envoy.authz`, of which `allow` is asked */
  readonly rego: string;
  readonly inputs: readonly object[];
}

const list = (length: number): readonly number[] => Array.from({ length }, (_, index) => index);
const words = (length: number): readonly string[] => list(length).map((index) => `item-${index}`);
const tree = (depth: number): unknown => (depth === 0 ? 7 : { a: tree(depth - 1), b: [tree(depth - 1)] });

/** Rules that differ in one constant, of which the last is the one that is asked for. */
export const similarRules = (count: number): string =>
  [
    'default allow := false',
    ...list(count).map(
      (index) => `allow if {\n\tinput.method == "GET"\n\tinput.path == "/x/${index}"\n\tinput.role == "r"\n}`,
    ),
  ].join('\n\n');

export const METERED_POLICIES: readonly MeteredPolicy[] = [
  { name: 'a constant', rego: 'allow := true', inputs: [{}, { a: 1 }] },
  {
    name: 'an input given back',
    rego: 'allow := input',
    inputs: [{}, { s: 'é日本😀"\\' }, { n: [1.5, -2, 1e21] }, { t: tree(4) }],
  },
  {
    name: 'a comprehension in three loops',
    rego: 'allow := count([1 | some a in input.x; some b in input.x; some c in input.x; a + b == c])',
    inputs: [{ x: [] }, { x: list(3) }, { x: list(12) }],
  },
  {
    name: 'a set of arrays',
    rego: 'allow := {[a, b] | some a in input.x; some b in input.x; a < b}',
    inputs: [{ x: list(9) }],
  },
  { name: 'a walk', rego: 'allow := count([p | walk(input, [p, v]); v == 7])', inputs: [{ t: tree(6) }] },
  {
    name: 'regular expressions',
    rego: 'allow := [m | some s in input.x; m := regex.match(`^(item|x+)-[0-9]{1,2}$`, s)]',
    inputs: [{ x: words(20) }, { x: ['x'.repeat(2_000)] }],
  },
  {
    name: 'strings',
    rego: 'allow := [concat("/", [upper(s), trim(lower(s), "i"), substring(s, 1, 2)]) | some s in input.x]',
    inputs: [{ x: words(10) }, { x: ['É', ''] }],
  },
  {
    name: 'arithmetic',
    rego: 'allow := {"sum": sum(input.x), "all": [round(x * 0.3) | some x in input.x], "range": numbers.range(1, 9)}',
    inputs: [{ x: list(20) }, { x: [0.1, 0.2] }],
  },
  {
    name: 'objects',
    rego: 'allow := object.union({"a": {"b": 1}}, object.remove(input.o, ["z"]))',
    inputs: [{ o: { a: { c: 2 }, z: 1 } }, { o: {} }],
  },
  {
    name: 'a graph',
    rego: 'allow := graph.reachable(input.g, ["a"])',
    inputs: [{ g: { a: ['b'], b: ['a'] } }],
  },
  { name: 'sorting', rego: 'allow := sort(input.x)', inputs: [{ x: ['b', 3, null, 'a', 1, [2]] }] },
  {
    name: 'static data',
    rego: 'allow := data.roles[input.role]',
    inputs: [{ role: 'editor' }, { role: 'x' }],
  },
  {
    name: 'a function and every',
    rego: 'f(x) := x * 2 if x > 1\n\nf(x) := 0 if x <= 1\n\nallow if every x in input.x { f(x) < 10 }',
    inputs: [{ x: [1, 2] }, { x: [9] }, {}],
  },
  {
    name: 'with and not',
    rego: 'a if input.b\n\nallow := {"a": x, "n": n} if {\n\tx := count(input) with input as [1]\n\tn := [1 | not a]\n}',
    inputs: [{ b: true }, { b: false }],
  },
  {
    name: 'else',
    rego: 'allow := 1 if input.a else := 2 if input.b else := 3',
    inputs: [{ a: true }, { b: true }, {}],
  },
  { name: 'base64', rego: 'allow := base64url.encode(input.s)', inputs: [{ s: 'x?>é' }] },
  {
    name: 'two hundred similar rules',
    rego: similarRules(200),
    inputs: [{ method: 'GET', path: '/x/199', role: 'r' }, { method: 'PUT' }],
  },
];
