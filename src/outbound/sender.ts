/** `http.send` with its two caches, as OPA has them: within an evaluation, and between evaluations where a request says so. */
import { setTimeout as delay } from 'node:timers/promises';
import type { RegoObject } from '../builtins/value.ts';
import type { Exchange } from './exchange.ts';
import { expiryOf, first, mayStore } from './freshness.ts';
import type { SendMeasures } from './measures.ts';
import type { NetworkAnswer, SendingEvaluation } from './network-call.ts';
import { type DecodeYaml, type Received, type Reply, readReply, toAnswer } from './received.ts';
import type { ResponseCache } from './response-cache.ts';
import { SendError, toErrorAnswer } from './send-error.ts';
import { type Caching, readOperand, readRaiseError } from './send-operand.ts';
import { type RequestDefaults, type SendRequest, toSendRequest } from './send-request.ts';
import type { Slots } from './slots.ts';
import { tooLate } from './until-aborted.ts';

export interface Sender {
  /** @returns undefined  when a request must be made */
  peek(operand: RegoObject, evaluation: SendingEvaluation): NetworkAnswer | undefined;
  /** @throws Failure deadline_exceeded, policy_failed */
  send(operand: RegoObject, evaluation: SendingEvaluation, signal: AbortSignal): Promise<NetworkAnswer>;
}

export interface SenderDeps {
  readonly exchange: Exchange;
  readonly slots: Slots;
  readonly cache: ResponseCache;
  readonly defaults: RequestDefaults;
  readonly decodeYaml: DecodeYaml;
  readonly measures: SendMeasures;
}

const NOTHING: NetworkAnswer = Object.freeze({ text: undefined });
const NS_PER_MS = 1_000_000n;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 60_000;
const RETRY_GROWTH = 1.6;
/** What a timer can wait for. */
const LONGEST_MS = 2_147_483_647;
const OK = 200;
const NOT_MODIFIED = 304;

export function createSender(deps: SenderDeps): Sender {
  const { cache, defaults, measures } = deps;
  return {
    peek(operand, evaluation) {
      const raises = readRaiseError(operand);
      if (raises === undefined) return NOTHING;
      try {
        const { key, caching } = readOperand(operand);
        const same = evaluation.sent.get(key);
        if (same !== undefined) return same;
        const kept = caching.isShared ? cache.get(key) : undefined;
        if (kept === undefined || kept.expiresAtMs <= nowMsOf(evaluation)) {
          toSendRequest(operand, defaults);
          return undefined;
        }
        measures.hit();
        const answer = { text: toAnswer(kept.reply) };
        evaluation.sent.set(key, answer);
        return answer;
      } catch (thrown) {
        return inPlaceOf(thrown, raises);
      }
    },
    async send(operand, evaluation, signal) {
      const raises = readRaiseError(operand) ?? true;
      const { key, caching } = readOperand(operand);
      let answer: NetworkAnswer;
      try {
        const asking: Asking = {
          request: toSendRequest(operand, defaults),
          key,
          caching,
          evaluation,
          signal,
        };
        answer = { text: toAnswer(await replyTo(asking, deps)) };
      } catch (thrown) {
        if (signal.aborted) throw tooLate();
        answer = inPlaceOf(thrown, raises);
      }
      evaluation.sent.set(key, answer);
      return answer;
    },
  };
}

/** @throws what is no error of `http.send` itself */
function inPlaceOf(thrown: unknown, raises: boolean): NetworkAnswer {
  if (!(thrown instanceof SendError)) throw thrown;
  return raises ? NOTHING : { text: toErrorAnswer(thrown) };
}

interface Asking {
  readonly request: SendRequest;
  readonly key: string;
  readonly caching: Caching;
  readonly evaluation: SendingEvaluation;
  readonly signal: AbortSignal;
}

async function replyTo(asking: Asking, deps: SenderDeps): Promise<Reply> {
  const confirmed = await confirm(asking, deps);
  if (confirmed !== undefined) return confirmed;
  const reply = await readFor(asking, await sendWithRetries(asking, deps), deps);
  keep(asking, reply, deps);
  return reply;
}

/** Asks whether a response that is too old still holds. @returns undefined  when it must be asked for anew */
async function confirm(asking: Asking, deps: SenderDeps): Promise<Reply | undefined> {
  const { request, key, caching, evaluation } = asking;
  const kept = caching.isShared ? deps.cache.get(key) : undefined;
  if (kept === undefined) return undefined;
  const validators = validatorsOf(kept.reply);
  deps.cache.delete(key);
  if (Object.keys(validators).length === 0) return undefined;
  const conditional = { ...request, headers: { ...request.headers, ...validators } };
  const received = await sendWithRetries({ ...asking, request: conditional }, deps);
  if (received.statusCode === OK) {
    const reply = await readFor(asking, received, deps);
    keep(asking, reply, deps);
    return reply;
  }
  if (received.statusCode !== NOT_MODIFIED) return undefined;
  const reply = { ...kept.reply, headers: new Map([...kept.reply.headers, ...received.headers]) };
  const expiresAtMs = expiryOf(received.headers, caching.forcedSeconds, nowMsOf(evaluation));
  if (caching.mayStore) deps.cache.set(key, { reply, expiresAtMs });
  return reply;
}

function validatorsOf({ headers }: Reply): Readonly<Record<string, string>> {
  const etag = first(headers, 'etag');
  const modified = first(headers, 'last-modified');
  return {
    ...(etag ? { 'if-none-match': etag } : {}),
    ...(modified ? { 'if-modified-since': modified } : {}),
  };
}

/** What cannot be stored is no error: the answer is there. */
function keep({ key, caching, evaluation }: Asking, reply: Reply, { cache }: SenderDeps): void {
  const { isShared, forcedSeconds } = caching;
  if (!isShared || !caching.mayStore || !mayStore(reply, forcedSeconds)) return;
  try {
    cache.set(key, { reply, expiresAtMs: expiryOf(reply.headers, forcedSeconds, nowMsOf(evaluation)) });
  } catch (thrown) {
    if (!(thrown instanceof SendError)) throw thrown;
  }
}

function readFor(
  { request, signal }: Asking,
  received: Received,
  { decodeYaml }: SenderDeps,
): Promise<Reply> {
  return readReply(received, request.decode, (text) => decodeYaml(text, signal));
}

async function sendWithRetries(asking: Asking, deps: SenderDeps): Promise<Received> {
  const { request, signal } = asking;
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await sendOnce(asking, deps);
    } catch (thrown) {
      if (!(thrown instanceof SendError) || attempt === request.retries || signal.aborted) throw thrown;
      const waitMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * RETRY_GROWTH ** attempt);
      await delay(waitMs, undefined, { signal });
    }
  }
}

async function sendOnce(
  { request, signal }: Asking,
  { slots, exchange, measures }: SenderDeps,
): Promise<Received> {
  await slots.take(signal);
  const startedMs = performance.now();
  let outcome: Parameters<SendMeasures['sent']>[0] = 'failed';
  const timeout = timeoutOf(request);
  try {
    const received = await exchange.send(
      request,
      timeout === undefined ? signal : AbortSignal.any([signal, timeout]),
    );
    outcome = 'answered';
    return received;
  } catch (thrown) {
    if (signal.aborted) outcome = 'late';
    if (timeout?.aborted === true && !signal.aborted)
      throw new SendError(`${request.method} ${JSON.stringify(request.url.origin)}: request timed out`, true);
    throw thrown;
  } finally {
    slots.give();
    measures.sent(outcome, (performance.now() - startedMs) / 1_000);
  }
}

function timeoutOf({ timeoutMs }: SendRequest): AbortSignal | undefined {
  return Number.isFinite(timeoutMs)
    ? AbortSignal.timeout(Math.min(LONGEST_MS, Math.ceil(timeoutMs)))
    : undefined;
}

function nowMsOf({ nowNs }: SendingEvaluation): number {
  return Number(nowNs / NS_PER_MS);
}
