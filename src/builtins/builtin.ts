/** What a built-in function of Rego is here: the seam between the evaluator and those who answer. */

/** One per evaluation: whatever must be the same at each call within it, and what calls may cost. */
export interface BuiltinContext {
  /** nanoseconds since the epoch */
  readonly nowNs: bigint;
  /** the bytes of one evaluation are random, or those of a recorded one */
  randomBytes(count: number): Uint8Array;
  /** what a call has said that must say the same again (`uuid.rfc4122`, `rand.intn`): key to Rego text */
  readonly said: Map<string, string>;
  /** what built-ins have answered that may say something else each time, by name and arguments */
  readonly answered: Map<string, AnsweredCall>;
  /** what was answered to the same request, however it was written */
  readonly sent: Map<string, { readonly text: string | undefined }>;
  /**
   * Takes work from the budget of the evaluation, in units of `policy/metering.ts` (1 to 9 million are a millisecond);
   * call it before the work, with an upper bound that follows the size of what is read and written.
   *
   * @throws when the budget is used up
   */
  charge(units: number): void;
}

export interface AnsweredCall {
  readonly name: string;
  /** Rego text */
  readonly args: readonly string[];
  /** Rego text; undefined: the call is undefined */
  readonly text: string | undefined;
}

/**
 * Answers one call.
 *
 * @param args  the arguments as Rego text, as `opa_value_dump` writes it: JSON, sets as `{1, 2}` and `set()`, and object
 *        keys of any type
 * @returns Rego text, as `opa_value_parse` reads it; undefined where OPA's evaluator says nothing or meets an error
 * @throws what ends the evaluation: the budget, and errors that end it in OPA, too
 */
export type CallBuiltin = (
  name: string,
  args: readonly string[],
  context: BuiltinContext,
) => string | undefined;

/**
 * Who answers a built-in.
 *
 * - `native`: the compiled module itself, which answers as OPA's evaluator does
 * - `host`: TypeScript, on the thread that evaluates
 * - `go`: OPA's own implementation in the toolchain module; a policy that reaches one is evaluated in a worker
 * - `network`: somebody else, if the configuration allows it; the evaluation is begun again with what they have said
 */
export type BuiltinSource = 'native' | 'host' | 'go' | 'network';
