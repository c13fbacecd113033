/** What an evaluation asks of the network, and what it is told. */

export interface NetworkCall {
  readonly name: string;
  /** Rego text */
  readonly args: readonly string[];
}

/** Rego text; undefined: the call is undefined. */
export interface NetworkAnswer {
  readonly text: string | undefined;
}

/** What is the same at each call within one evaluation. */
export interface SendingEvaluation {
  /** nanoseconds since the epoch */
  readonly nowNs: bigint;
  /** what was answered to the same request: key to answer */
  readonly sent: Map<string, NetworkAnswer>;
}
