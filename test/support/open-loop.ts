import { Agent, request } from 'node:https';
import type { Socket } from 'node:net';

export interface LoadCounts {
  readonly sent: number;
  /** answered as expected */
  readonly expected: number;
  /** what else came, and how often: statuses, errors */
  readonly others: Readonly<Record<string, number>>;
  /** connections that the other side has ended while requests were being sent */
  readonly dropped: number;
}

export interface OpenLoopOptions {
  readonly port: number;
  readonly path: string;
  /** PEM */
  readonly ca: string;
  /** shown to whoever asks. PEM */
  readonly certificate?: string;
  readonly privateKey?: string;
  readonly perSecond: number;
  /** the next request, and the status that it must have */
  readonly next: (index: number) => {
    readonly method: string;
    readonly status: number;
    /** default: that of all */
    readonly path?: string;
  };
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
export function startOpenLoop(options: OpenLoopOptions): OpenLoop {
  const { port, path: pathOfAll, ca, certificate: cert, privateKey: key, perSecond, next } = options;
  const shown = cert === undefined || key === undefined ? {} : { cert, key };
  const agent = new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS, ca, ...shown });
  const seen = new WeakSet<Socket>();
  let dropped = 0;
  let stopping = false;
  const onSocket = (socket: Socket): void => {
    if (seen.has(socket)) return;
    seen.add(socket);
    socket.once('close', () => {
      if (!stopping) dropped += 1;
    });
  };
  const others: Record<string, number> = {};
  const inFlight = new Set<Promise<void>>();
  let [sent, expected] = [0, 0];
  const other = (what: string): void => {
    others[what] = (others[what] ?? 0) + 1;
  };
  const send = (): void => {
    const { method, status, path = pathOfAll } = next(sent);
    sent += 1;
    if (inFlight.size >= MAX_IN_FLIGHT) {
      other('not sent');
      return;
    }
    const answered = statusOf({ agent, port, path, method, onSocket }).then(
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
      stopping = true;
      agent.destroy();
      return { sent, expected, others, dropped };
    },
  };
}

interface Sending {
  readonly agent: Agent;
  readonly port: number;
  readonly path: string;
  readonly method: string;
  readonly onSocket: (socket: Socket) => void;
}

function statusOf({ onSocket, ...sending }: Sending): Promise<number> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const sent = request({ host: '127.0.0.1', ...sending, signal }, (response) => {
      response.once('error', reject);
      response.once('end', () => resolve(response.statusCode ?? 0)).resume();
    });
    sent.once('socket', onSocket).once('error', reject).end();
  });
}
