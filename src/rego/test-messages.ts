/** Of a test run, what only the command line asks for; see messages.ts. */
/** Which part of a trace is shown. */
export const EXPLAIN_MODES = ['fails', 'full', 'notes', 'debug'] as const;
export type ExplainMode = (typeof EXPLAIN_MODES)[number];

export interface TestReportRequest {
  readonly verbose: boolean;
  readonly explain?: ExplainMode | undefined;
  /** show the values of the variables of an expression that failed */
  readonly varValues: boolean;
}

/** A value as JSON with its kinds: a compiled module writes the members of a set in an order of its own. */
export type TaggedValue =
  | { readonly json: string | number | boolean | null }
  | { readonly array: readonly TaggedValue[] }
  | { readonly set: readonly TaggedValue[] }
  | { readonly object: Readonly<Record<string, TaggedValue>> };

/** What OPA's evaluator answers; neither member: undefined. */
export interface Expected {
  readonly value?: TaggedValue;
  readonly error?: { readonly message: string };
}

/** All tests as entrypoints of one module, and what each answers where the input is `{}`. */
export interface CompiledTests {
  /** in base64; absent when no test can be compiled */
  readonly wasm?: string;
  readonly tests: readonly CompiledTest[];
}
export interface CompiledTest {
  readonly file: string;
  readonly row: number;
  readonly col: number;
  readonly entrypoint: string;
  /** why the test cannot be compiled so that it means the same */
  readonly reason?: string;
  readonly expected: Expected;
}
