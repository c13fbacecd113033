/** What policy authors ask the toolchain through the command line, and what it answers; see messages.ts. */
import type { Json, JsonObject } from '../core/json.ts';
import type { RegoIssue, RegoSource } from './messages.ts';
import type { Expected, ExplainMode } from './test-messages.ts';

/** File name to text. */
export interface FormatRequest {
  readonly modules: Readonly<Record<string, string>>;
}

export interface DataRequest {
  readonly files: readonly DataFile[];
}
/** A `data.json` or `data.yaml`. */
export interface DataFile {
  readonly name: string;
  /** of its folder, below the root */
  readonly path: readonly string[];
  readonly text: string;
}

export interface DepsRequest extends RegoSource {
  readonly query: string;
}
export interface Dependencies {
  /** what no rule defines, below `data` and below `input` */
  readonly base: readonly Dependency[];
  /** rules */
  readonly virtual: readonly Dependency[];
}
export interface Dependency {
  readonly text: string;
  /** as OPA writes a reference in JSON */
  readonly ref: Json;
}

export interface QueryRequest extends RegoSource {
  readonly query: string;
  /** JSON; left out: the input is undefined */
  readonly input?: string | undefined;
  readonly explain?: ExplainMode | undefined;
  /** errors of built-in functions end the evaluation */
  readonly strictBuiltinErrors?: boolean;
  readonly compiled: boolean;
}
export interface QueryAnswer {
  readonly results: readonly QueryResult[] | null;
  readonly error?: RegoIssue;
  readonly trace?: string;
  /** what `print` wrote */
  readonly output?: string;
  readonly compiled?: CompiledQuery;
}
export interface QueryResult {
  readonly expressions: readonly QueryExpression[];
  readonly bindings?: JsonObject;
}
export interface QueryExpression {
  readonly value: Json;
  readonly text: string;
  readonly location: { readonly row: number; readonly col: number };
}
/** The query as a rule: a set of pairs, the values of the expressions and the bindings. */
export interface CompiledQuery {
  /** in base64 */
  readonly wasm?: string;
  readonly entrypoint: string;
  /** why the query cannot be compiled */
  readonly reason?: string;
  readonly expected: Expected;
  /** `value`: which of the values is its own; -1: none, it is true */
  readonly expressions: readonly (Omit<QueryExpression, 'value'> & { readonly value: number })[];
}

export interface RepeatRequest extends RegoSource {
  readonly entrypoint: string;
  /** JSON */
  readonly input: string;
  readonly forMs: number;
}
export interface Repeated {
  readonly evaluations: number;
  /** without the parsing of the input */
  readonly durationNs: number;
}
