/** A back end that takes WebSocket upgrades and sends back what comes, byte by byte. No frames are looked at. */
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { connect } from 'node:tls';
import type { ClientTls } from './http-request.ts';

export interface EchoUpstream {
  readonly port: number;
  close(): Promise<void>;
}

export async function startEchoUpstream(): Promise<EchoUpstream> {
  const open = new Set<Socket>();
  const server = createServer((_request, response) => response.end('upstream\n'));
  server.on('upgrade', (_request, socket: Socket) => {
    open.add(socket);
    socket.on('error', () => undefined).once('close', () => open.delete(socket));
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        for (const socket of open) socket.destroy();
      }),
  };
}

export interface OpenWebSocket {
  /** of the answer to the upgrade; 101 opens it */
  readonly status: number;
  /** Sends, and resolves with true when the same comes back; false when the connection has ended. */
  echo(text: string): Promise<boolean>;
  isOpen(): boolean;
  close(): void;
}

export function openWebSocket(port: number, path: string, tls: ClientTls): Promise<OpenWebSocket> {
  const { ca, certificate: cert, privateKey: key } = tls;
  const socket = connect({ host: '127.0.0.1', port, ca, cert, key, ALPNProtocols: ['http/1.1'] });
  let seen = '';
  let ended = false;
  socket.setEncoding('utf8').on('data', (text: string) => {
    seen += text;
  });
  const over = new Promise<void>((resolve) => {
    socket
      .on('error', () => undefined)
      .once('close', () => {
        ended = true;
        resolve();
      });
  });
  const until = async (done: () => boolean): Promise<boolean> => {
    while (!done() && !ended) {
      const more = new Promise<void>((resolve) => socket.once('data', () => resolve()));
      await Promise.race([more, over]);
    }
    return done();
  };
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: test.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  return until(() => seen.includes('\r\n\r\n')).then(() => ({
    status: Number(/^HTTP\/1\.1 (\d+)/.exec(seen)?.[1] ?? 0),
    async echo(text) {
      seen = '';
      socket.write(text);
      return until(() => seen.includes(text));
    },
    isOpen: () => !ended,
    close: () => socket.destroy(),
  }));
}
