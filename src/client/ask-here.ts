/** A question to a listener of this very machine, under a host name that is not where it goes. */
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';

export interface QuestionHere {
  /** IP address of this machine */
  readonly address: string;
  readonly port: number;
  readonly tls: boolean;
  /** PEM: shown where it is asked for */
  readonly certificate?: string;
  readonly privateKey?: string;
  readonly host: string;
  readonly path: string;
}

export interface AnswerHere {
  readonly status: number;
  readonly body: string;
}

const ANSWER_MS = 2_000;
const MAX_CHARACTERS = 4_096;

/**
 * On a connection of its own, so that any worker of the listener may answer. The certificate of the listener is not
 * looked at: it is for other names, nothing secret is said, and whoever can take the port of a listener of this machine
 * needs no lie about its rules.
 */
export function askHere(question: QuestionHere): Promise<AnswerHere> {
  const { address, port, tls, certificate, privateKey, host, path } = question;
  const common = { host: address, port, path, agent: false, headers: { host } };
  const signal = AbortSignal.timeout(ANSWER_MS);
  return new Promise((resolve, reject) => {
    const sent = tls
      ? requestHttps({
          ...common,
          signal,
          rejectUnauthorized: false,
          ...(certificate !== undefined && { cert: certificate }),
          ...(privateKey !== undefined && { key: privateKey }),
        })
      : requestHttp({ ...common, signal });
    sent.once('error', reject);
    sent.once('response', (answer) => {
      let body = '';
      answer.once('error', reject);
      answer.setEncoding('utf8').on('data', (text: string) => {
        body = (body + text).slice(0, MAX_CHARACTERS);
      });
      answer.once('end', () => resolve({ status: answer.statusCode ?? 0, body }));
    });
    sent.end();
  });
}
