/**
 * What the toolchain is asked and what it answers; the Go side of each is in toolchain/*.go.
 *
 * A request holds the policy whole: the toolchain keeps nothing between two calls.
 */
import type { Json, JsonObject } from '../core/json.ts';
import type { CompiledTests, TestReportRequest } from './test-messages.ts';

/** A policy as the toolchain sees it. */
export interface RegoSource {
  /** file name to Rego v1 text; names that end in `_test.rego` are tests */
  readonly modules: Readonly<Record<string, string>>;
  /** static data below `data` */
  readonly data?: object;
  /** built-in functions that the modules may call, without which they are refused; tests may call all of OPA's */
  readonly builtins: readonly string[];
  /** of these: which the host is to answer although the compiled module could itself; default: none */
  readonly host?: readonly string[];
}

export interface CompileRequest extends RegoSource {
  /** slash paths below `data`, for example `envoy/authz/allow` */
  readonly entrypoints: readonly string[];
}
export interface Compiled {
  /** a module of OPA's WASM ABI 1.x; data is not in it, it is set at run time */
  readonly wasm: Uint8Array;
  /** in the order of the module's entrypoint numbers */
  readonly entrypoints: readonly string[];
  /** that the module calls, by name */
  readonly builtins: readonly ReachedBuiltin[];
  /**
   * What of `input` the entrypoints can read: paths of member names, none a prefix of another. A path ends where
   * something other than a constant name follows, or where a document is used whole; `[[]]`: all of it may be read.
   */
  readonly inputs: readonly (readonly string[])[];
}
/** `import`: the name under which the module asks its host; without it the module answers itself. */
export interface ReachedBuiltin {
  readonly name: string;
  /** `host.<name>` if the module could answer itself, else the name */
  readonly import?: string;
}

/** A call of OPA's own implementation of a built-in. */
export interface BuiltinRequest {
  readonly name: string;
  /** Rego text */
  readonly args: readonly string[];
  /** nanoseconds since the epoch, in decimal digits: what `time.now_ns` says, and what a token is held against */
  readonly nowNs: string;
  /** base64; what the call takes for random bytes, by default the system's */
  readonly seed?: string;
}
/** `text`: the value as Rego text; without it the call is undefined. */
export interface BuiltinResult {
  readonly text?: string;
  /** what ends the evaluation */
  readonly halt?: RegoIssue;
  /** why the call is undefined; OPA says it in strict mode only */
  readonly error?: RegoIssue;
}

export interface TestRequest extends RegoSource {
  /** measure which lines the tests reach */
  readonly coverage?: boolean;
  /** regular expression on the full names; left out: all */
  readonly run?: string | undefined;
  /** of one test; left out: that of the call */
  readonly timeoutMs?: number;
  /** what a command prints */
  readonly report?: TestReportRequest;
  /** compile the tests too, and say what each must answer */
  readonly compiled?: boolean;
}
export interface TestReport {
  /** by file, then row */
  readonly tests: readonly TestCase[];
  readonly coverage?: Coverage;
  /** with `report`: as `opa test` prints it */
  readonly pretty?: string;
  readonly compiled?: CompiledTests;
}
export interface TestCase {
  /** for example `data.envoy.authz_test.test_public_is_allowed` */
  readonly name: string;
  readonly file: string;
  readonly row: number;
  readonly col: number;
  /** `skip`: a rule named `todo_test_…` */
  readonly outcome: 'pass' | 'fail' | 'error' | 'skip';
  /** what `print` wrote */
  readonly output?: string;
  readonly error?: RegoIssue;
  /** of a table test */
  readonly failedCases?: readonly string[];
  readonly durationNs: number;
  /** with `report`: as `opa test --format json` prints it */
  readonly report?: JsonObject;
}
export interface Coverage {
  /** of the lines of the modules that are not tests */
  readonly percent: number;
  readonly notCovered: readonly { readonly file: string; readonly first: number; readonly last: number }[];
  /** with `report`: of all modules, as `opa test --coverage` prints it */
  readonly report?: CoverageReport;
}
export interface CoverageReport {
  readonly files: Json;
  readonly covered_lines: number;
  readonly not_covered_lines: number;
  readonly coverage: number;
}

export interface EvaluateRequest extends RegoSource {
  readonly entrypoint: string;
  /** JSON texts, one evaluation each */
  readonly inputs: readonly string[];
}
/** `text`: the value as JSON; neither member: undefined. */
export interface Evaluated {
  readonly text?: string;
  readonly error?: RegoIssue;
}

export interface ToolchainVersion {
  readonly opa: string;
  readonly go: string;
}

/** One thing that is wrong with a policy; rows and columns count from 1. */
export interface RegoIssue {
  readonly code: string;
  readonly message: string;
  readonly file?: string;
  readonly row?: number;
  readonly col?: number;
  /** the line */
  readonly text?: string;
  /** index of the entrypoint that the issue is about */
  readonly entrypoint?: number;
}

/** Exactly one is there: a result, what is wrong with the policy, or what is wrong with the toolchain. */
export interface Answer {
  readonly result?: unknown;
  readonly issues?: readonly RegoIssue[];
  readonly error?: string;
}
