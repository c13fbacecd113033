/** `http.send` with its two caches, as OPA has them: within an evaluation, and between evaluations where a request says so. */
import type { RegoObject } from '../builtins/value.ts';
import { expiryOf, first, mayStore } from './freshness.ts';
import type { NetworkAnswer, SendingEvaluation } from './network-call.ts';
import { type DecodeYaml, type Received, type Reply, readReply, toAnswer } from './received.ts';
import type { ResponseCache } from './response-cache.ts';
import { type AttemptDeps, sendWithRetries } from './send-attempts.ts';
import { SendError, toErrorAnswer } from './send-error.ts';
import { type Caching, readOperand, readRaiseError } from './send-operand.ts';
import { type RequestDefaults, type SendRequest, toSendRequest } from './send-request.ts';
import { tooLate } from './until-aborted.ts';

export interface Sender {
  /** @returns undefined  when a request must be made */
  peek(operand: RegoObject, evaluation: SendingEvaluation): NetworkAnswer | undefined;
  /** @throws Failure deadline_exceeded, policy_failed */
  send(operand: RegoObject, evaluation: SendingEvaluation, signal: AbortSignal): Promise<NetworkAnswer>;
}

export interface SenderDeps extends AttemptDeps {
  readonly cache: ResponseCache;
  readonly defaults: RequestDefaults;
  readonly decodeYaml: DecodeYaml;
}

const NOTHING: NetworkAnswer = Object.freeze({ text: undefined });
const NS_PER_MS = 1_000_000n;
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
  const reply = await readFor(asking, await sendWithRetries(asking.request, asking.signal, deps), deps);
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
  const received = await sendWithRetries(conditional, asking.signal, deps);
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

function nowMsOf({ nowNs }: SendingEvaluation): number {
  return Number(nowNs / NS_PER_MS);
}
