/**
 * The front door of the room: what policies ask of the network, `http.send` and `net.lookup_ip_addr`. Nothing here waits
 * within an evaluation: `peek` says what is known already, `ask` finds out, and then the evaluation is begun again.
 */
import { parseText } from '../builtins/parse-text.ts';
import { RegoObject } from '../builtins/value.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { createAllowList } from './allow-list.ts';
import { createExchange } from './exchange.ts';
import { lookUp, ownAddress } from './lookup.ts';
import { observeSends } from './measures.ts';
import type { NetworkAnswer, NetworkCall, SendingEvaluation } from './network-call.ts';
import type { HttpSendOptions } from './options.ts';
import type { DecodeYaml } from './received.ts';
import { createResponseCache } from './response-cache.ts';
import { createSender, type Sender } from './sender.ts';
import { createSlots, type Slots } from './slots.ts';
import { untilAborted } from './until-aborted.ts';

export interface Outbound {
  /** @returns undefined  when somebody must be asked */
  peek(call: NetworkCall, evaluation: SendingEvaluation): NetworkAnswer | undefined;
  /**
   * @param signal  the deadline of the evaluation
   * @throws Failure deadline_exceeded  the signal; policy_failed  what cannot be answered exactly
   */
  ask(call: NetworkCall, evaluation: SendingEvaluation, signal: AbortSignal): Promise<NetworkAnswer>;
  close(): void;
}

export interface OutboundDeps {
  /** undefined: the network is not for policies */
  readonly options: HttpSendOptions | undefined;
  readonly metrics: Metrics;
  readonly decodeYaml: DecodeYaml;
}

const NOTHING: NetworkAnswer = Object.freeze({ text: undefined });
const BYTES_PER_MIB = 1_048_576;

/** @returns undefined  when the network is not for policies; the metrics are there all the same */
export function createOutbound({ options, metrics, decodeYaml }: OutboundDeps): Outbound | undefined {
  let waiting = (): number => 0;
  const measures = observeSends(metrics, () => waiting());
  if (options === undefined) return undefined;
  const allowList = createAllowList(options.allowedHosts);
  const exchange = createExchange({ ...options, allowList });
  const slots = createSlots(options.maxConcurrent);
  waiting = () => slots.waiting();
  const sender = createSender({
    exchange,
    slots,
    cache: createResponseCache(options.cacheMiB * BYTES_PER_MIB),
    defaults: { allowList, timeoutMs: options.timeoutMs },
    decodeYaml,
    measures,
  });
  const names: Names = { sender, slots, allowsName: (name) => allowList.allowsName(name) };
  return {
    peek: (call, evaluation) => peek(call, evaluation, names),
    async ask(call, evaluation, signal) {
      return peek(call, evaluation, names) ?? askNow(call, evaluation, signal, names);
    },
    close: () => exchange.close(),
  };
}

interface Names {
  readonly sender: Sender;
  readonly slots: Slots;
  allowsName(name: string): boolean;
}

function peek(call: NetworkCall, evaluation: SendingEvaluation, names: Names): NetworkAnswer | undefined {
  const operand = operandOf(call);
  if (call.name === 'http.send')
    return operand instanceof RegoObject ? names.sender.peek(operand, evaluation) : NOTHING;
  if (typeof operand !== 'string' || !names.allowsName(operand)) return NOTHING;
  const own = ownAddress(operand);
  return own === undefined ? undefined : { text: own };
}

async function askNow(
  call: NetworkCall,
  evaluation: SendingEvaluation,
  signal: AbortSignal,
  { sender, slots }: Names,
): Promise<NetworkAnswer> {
  const operand = operandOf(call);
  if (operand instanceof RegoObject) return sender.send(operand, evaluation, signal);
  if (typeof operand !== 'string') return NOTHING;
  return { text: await untilAborted(lookUpInTurn(operand, slots, signal), signal) };
}

/** One that nobody waits for any more has its place until it ends: the system resolves only a few at once. */
async function lookUpInTurn(name: string, slots: Slots, signal: AbortSignal): Promise<string | undefined> {
  await slots.take(signal);
  return lookUp(name).finally(() => slots.give());
}

function operandOf({ args: [text = 'null'] }: NetworkCall) {
  return parseText(text);
}
