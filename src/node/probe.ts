/** Asks the node's own listener which position of the journal it enforces. */
import { isIPv6 } from 'node:net';
import { type AnswerHere, askHere } from '../client/ask-here.ts';
import { Failure } from '../core/failure.ts';
import { PROBE_HOST, PROBE_PATH } from '../core/probe.ts';
import type { Listener } from './contact.ts';

export interface ProbeOptions {
  readonly listener: Listener;
  /** shown to a listener that lets nobody in without a client certificate, and then it must trust it. PEM */
  readonly identity: { readonly certificate: string; readonly privateKey: string } | undefined;
  /** of the proxy: each has its rules, and takes new ones a moment after the other */
  readonly workers?: number;
}

/** for one worker */
const QUESTIONS = 3;
const MAX_QUESTIONS = 48;
const ANY_ADDRESSES: readonly string[] = ['0.0.0.0', '::'];
const POSITION = /^(\d{1,15})\.(\d{1,15})\n?$/;

/**
 * Several times, on connections of their own, which the workers share by chance: the lowest answer counts.
 *
 * @returns `<epoch>.<seq>`
 * @throws Failure not_found  when the listener answers something else; deadline_exceeded when it does not answer
 */
export async function probePosition({ listener, identity, workers = 1 }: ProbeOptions): Promise<string> {
  const times = workers === 1 ? 1 : Math.min(workers * QUESTIONS, MAX_QUESTIONS);
  const answers = await Promise.all(Array.from({ length: times }, () => ask(listener, identity)));
  const places = answers.map(placeOf).toSorted((a, b) => a.epoch - b.epoch || a.seq - b.seq);
  const { epoch, seq } = places[0] ?? placeOf({ status: 0, body: '' });
  return `${epoch}.${seq}`;
}

async function ask(
  { address, port, tls }: Listener,
  identity: ProbeOptions['identity'],
): Promise<AnswerHere> {
  const here = ANY_ADDRESSES.includes(address) ? (isIPv6(address) ? '::1' : '127.0.0.1') : address;
  const question = { address: here, port, tls, host: PROBE_HOST, path: PROBE_PATH };
  try {
    // a listener refuses a certificate that it does not trust, and may be content without one
    return await askHere(question).catch((error: unknown) => {
      if (!tls || identity === undefined) throw error;
      return askHere({ ...question, ...identity });
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Failure('deadline_exceeded', `the listener does not answer: ${why}`, { cause });
  }
}

function placeOf({ status, body }: AnswerHere): { readonly epoch: number; readonly seq: number } {
  const [, epoch, seq] = POSITION.exec(body) ?? [];
  if (status === 200 && epoch !== undefined && seq !== undefined)
    return { epoch: Number(epoch), seq: Number(seq) };
  throw new Failure(
    'not_found',
    `the listener does not say which position it enforces: it answers ${status}`,
  );
}
