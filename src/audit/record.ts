/** What the thread that answers a Check writes down of it. Nothing is parsed or made text of there. */
import type { DecidedBy } from '../core/decision.ts';
import type { JsonObject } from '../core/json.ts';
import type { TraceParent } from '../telemetry/trace-context.ts';

export interface CheckRecord {
  readonly decisionId: string;
  /** milliseconds since the epoch */
  readonly startedAtMs: number;
  readonly handlerNs: number;
  /** undefined: nothing was evaluated */
  readonly evaluationNs?: number | undefined;
  /** what the evaluation has cost (`policy/metering.ts`) */
  readonly units?: number | undefined;
  readonly effect: 'allow' | 'deny' | 'failure';
  /** a reason of a decision, or the code of a failure */
  readonly reason: string;
  /** why no decision could be made; `message` is safe to show */
  readonly error?: { readonly code: string; readonly message: string } | undefined;
  /** the caller had gone before it was answered */
  readonly cancelled: boolean;
  readonly policy?: string | undefined;
  readonly entrypoint?: string | undefined;
  /** undefined: no policy was asked */
  readonly decidedBy?: DecidedBy | undefined;
  /** applied when it was answered */
  readonly position: { readonly epoch: number; readonly seq: number };
  /** as `input.identity`; undefined: nobody was authenticated */
  readonly identity?: JsonObject | undefined;
  /** what the policy said, as JSON */
  readonly resultText?: string | undefined;
  /** what built-ins said that may say something else each time; `too_large`: it was more than is recorded */
  readonly ndCalls?: readonly NdCall[] | 'too_large' | undefined;
  /** the CheckRequest */
  readonly request: Uint8Array;
  /** what it tells of its client counts */
  readonly believed: boolean;
  readonly trace?: TracePlace | undefined;
}

/** A call of a built-in function, as Rego text. */
export interface NdCall {
  readonly name: string;
  readonly args: readonly string[];
  /** undefined: the call was undefined */
  readonly text?: string | undefined;
}

export function sizeOfCall({ name, args, text = '' }: NdCall): number {
  return args.reduce((sum, each) => sum + each.length, name.length + text.length);
}

/** Where in a trace this Check stands. */
export interface TracePlace {
  readonly parent: TraceParent;
  /** of our own span; undefined: none is made */
  readonly spanId?: string | undefined;
  /** when each stage that was begun had ended, after the start of the Check; of a span only */
  readonly stages?: readonly StageEnd[] | undefined;
}

export interface StageEnd {
  readonly stage: 'parse' | 'authenticate' | 'evaluate' | 'encode';
  readonly endNs: number;
  readonly failed: boolean;
}
