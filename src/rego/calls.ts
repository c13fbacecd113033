import type { JsonObject } from '../core/json.ts';
import type {
  DataRequest,
  Dependencies,
  DepsRequest,
  FormatRequest,
  QueryAnswer,
  QueryRequest,
  Repeated,
  RepeatRequest,
} from './author-messages.ts';
import type {
  BuiltinRequest,
  BuiltinResult,
  Compiled,
  CompileRequest,
  Evaluated,
  EvaluateRequest,
  RegoSource,
  TestReport,
  TestRequest,
  ToolchainVersion,
} from './messages.ts';

/** Every request with what it is answered. */
export interface Calls {
  version: [request: object, result: ToolchainVersion];
  check: [request: RegoSource, result: { readonly ok: true }];
  compile: [request: CompileRequest, result: Omit<Compiled, 'wasm'> & { readonly wasm: string }];
  test: [request: TestRequest, result: TestReport];
  evaluate: [request: EvaluateRequest, result: { readonly outcomes: readonly Evaluated[] }];
  builtin: [request: BuiltinRequest, result: BuiltinResult];
  checkStrictly: [request: RegoSource, result: { readonly ok: true }];
  format: [request: FormatRequest, result: FormatRequest];
  data: [request: DataRequest, result: { readonly data: JsonObject }];
  deps: [request: DepsRequest, result: Dependencies];
  query: [request: QueryRequest, result: QueryAnswer];
  repeat: [request: RepeatRequest, result: Repeated];
}
export type CallName = keyof Calls;
