import { BODY_CASES } from './body-cases.ts';
import type { ContractCase } from './case.ts';
import { GRPC_CASES } from './grpc-cases.ts';
import { INPUT_CASES } from './input-cases.ts';
import { RESULT_CASES } from './result-cases.ts';

/** The contract with opa-envoy-plugin, row by row. */
export const TABLE: readonly ContractCase[] = [...INPUT_CASES, ...BODY_CASES, ...GRPC_CASES, ...RESULT_CASES];
