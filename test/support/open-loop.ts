import { Agent, request } from 'node:https';

export interface LoadCounts {
  readonly sent: number;
  /** answered as expected */
  readonly expected: number;
  /** what else came, and how often: statuses, errors */
  readonly others: Readonly<Record<string, number>>;
}

export interface OpenLoopOptions {
  readonly port: number;
  readonly path: string;
  /** PEM */
  readonly ca: string;
  readonly perSecond: number;
  /** the next request, and the status that it must have */
  readonly next: (index: number) => { readonly method: string; readonly status: number };
}

export interface OpenLoop {
  /** Sends no more. @returns once every request is answered, has failed, or has waited for 30 s */
  stop(): Promise<LoadCounts>;
}

const MAX_IN_FLIGHT = 4_000;
const MAX_SOCKETS = 64;
/** the wait for a free socket included */
const ANSWER_MS = 30_000;

/** Requests at a rate of their own, whatever the answers do: one that cannot be sent has failed too. */
export function startOpenLoop({ port, path, ca, perSecond, next }: OpenLoopOptions): OpenLoop {
  const agent = new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS, ca });
  const others: Record<string, number> = {};
  const inFlight = new Set<Promise<void>>();
  let [sent, expected] = [0, 0];
  const other = (what: string): void => {
    others[what] = (others[what] ?? 0) + 1;
  };
  const send = (): void => {
    const { method, status } = next(sent);
    sent += 1;
    if (inFlight.size >= MAX_IN_FLIGHT) {
      other('not sent');
      return;
    }
    const answered = statusOf({ agent, port, path, method }).then(
      (got) => (got === status ? void (expected += 1) : other(`${got} for ${status}`)),
      (error: NodeJS.ErrnoException) => other(error.code ?? error.message),
    );
    inFlight.add(answered);
    void answered.finally(() => inFlight.delete(answered));
  };
  const startMs = performance.now();
  const timer = setInterval(() => {
    const due = ((performance.now() - startMs) / 1_000) * perSecond;
    while (sent < due) send();
  }, 5);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(inFlight);
      agent.destroy();
      return { sent, expected, others };
    },
  };
}

interface Sending {
  readonly agent: Agent;
  readonly port: number;
  readonly path: string;
  readonly method: string;
}

function statusOf(sending: Sending): Promise<number> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const sent = request({ host: '127.0.0.1', ...sending, signal }, (response) => {
      response.once('error', reject);
      response.once('end', () => resolve(response.statusCode ?? 0)).resume();
    });
    sent.once('error', reject).end();
  });
}
