/** HTTP clients that stay on one connection and say which it is: a test sees when somebody has closed it. */
import { Agent, type IncomingHttpHeaders, request as requestHttp } from 'node:http';
import { type ClientHttp2Session, connect } from 'node:http2';
import { type ClientTls, type HttpAnswer, rawValues } from './http-request.ts';

export interface ConnectionAnswer extends HttpAnswer {
  /** of the connection on which it came */
  readonly localPort: number;
}

export interface SendOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface HttpConnection {
  /** One request without a body. Rejects when there is no answer within 10 s. */
  send(path: string, options?: SendOptions): Promise<ConnectionAnswer>;
  close(): void;
}

const ANSWER_MS = 10_000;
const HOST = 'test.example';

/** HTTP/1.1 to 127.0.0.1: one request after the other; a closed connection is opened again, from another port. */
export function keepAlive(port: number): HttpConnection {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return {
    send: (path, { method = 'GET', headers = {} } = {}) =>
      new Promise((resolve, reject) => {
        const signal = AbortSignal.timeout(ANSWER_MS);
        const options = { host: '127.0.0.1', port, path, method, agent, signal };
        const request = requestHttp({ ...options, headers: { host: HOST, ...headers } }, (response) => {
          const localPort = response.socket.localPort ?? 0;
          let body = '';
          response.setEncoding('utf8').on('data', (chunk: string) => {
            body += chunk;
          });
          response.once('error', reject).once('end', () => {
            const values = (name: string) => rawValues(response.rawHeaders, name);
            resolve({ status: response.statusCode ?? 0, headers: response.headers, values, body, localPort });
          });
        });
        request.once('error', reject).end();
      }),
    close: () => agent.destroy(),
  };
}

export interface Http2Connection extends HttpConnection {
  /** false as soon as the other side has said GOAWAY, or the connection is gone */
  isOpen(): boolean;
}

/** HTTP/2 to 127.0.0.1: over TLS, or without it by prior knowledge. Rejects when there is no connection. */
export async function connectHttp2(port: number, tls?: ClientTls): Promise<Http2Connection> {
  const scheme = tls ? 'https' : 'http';
  const certificate = tls && { ca: tls.ca, cert: tls.certificate, key: tls.privateKey, servername: HOST };
  const session = connect(`${scheme}://127.0.0.1:${port}`, certificate);
  let saidGoodbye = false;
  session.once('goaway', () => {
    saidGoodbye = true;
  });
  await new Promise<void>((resolve, reject) => {
    session.once('error', reject).once('connect', () => resolve());
  });
  // what goes wrong later is told by the request that meets it
  session.on('error', () => undefined);
  return {
    send: (path, options = {}) => sendOn(session, { ':scheme': scheme, ':path': path }, options),
    isOpen: () => !saidGoodbye && !session.closed && !session.destroyed,
    close: () => session.destroy(),
  };
}

function sendOn(
  session: ClientHttp2Session,
  pseudo: Readonly<Record<string, string>>,
  { method = 'GET', headers = {} }: SendOptions,
): Promise<ConnectionAnswer> {
  return new Promise((resolve, reject) => {
    const localPort = session.socket.localPort ?? 0;
    const stream = session.request(
      { ...pseudo, ':method': method, ':authority': HOST, ...headers },
      { endStream: true, signal: AbortSignal.timeout(ANSWER_MS) },
    );
    let received: { status: number; headers: IncomingHttpHeaders; raw: readonly string[] } | undefined;
    let body = '';
    stream.once('response', ({ ':status': status = 0, ...rest }, _flags, raw) => {
      received = { status, headers: rest, raw };
    });
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk;
    });
    stream.once('error', reject).once('close', () => {
      if (received === undefined) return reject(new Error('the stream has ended without an answer'));
      const { raw, ...answer } = received;
      resolve({ ...answer, values: (name) => rawValues(raw, name), body, localPort });
    });
  });
}
