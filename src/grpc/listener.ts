/** The door in front of a gRPC server: it takes connections, and knows those that there are. */
import type { Socket } from 'node:net';

export interface Listener {
  /** @returns the port; 0: a Unix socket. Rejects with the error of the socket, or a Failure */
  listen(address: string, port: number): Promise<number>;
  /** Takes no more connections; those that there are go on. */
  close(): void;
  readonly connections: Pick<Connections, 'ended' | 'cut'>;
}

/**
 * The connections that a gRPC server was given. Nobody else knows when they have ended: grpc-js says so at once, since
 * the HTTP/2 server behind an injector does not listen and has no connections that it would wait for.
 */
export class Connections<Kind extends Socket = Socket> {
  readonly #open = new Set<Kind>();
  #whenEmpty: (() => void)[] = [];

  add(socket: Kind): void {
    this.#open.add(socket);
    socket.once('close', () => {
      this.#open.delete(socket);
      if (this.#open.size === 0) for (const tell of this.#whenEmpty.splice(0)) tell();
    });
  }

  [Symbol.iterator](): Iterator<Kind> {
    return this.#open[Symbol.iterator]();
  }

  /** Resolves when there is none. */
  ended(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#open.size === 0) resolve();
      else this.#whenEmpty.push(resolve);
    });
  }

  /** A client that reads no more would never let its connection end. */
  cut(): void {
    for (const socket of this.#open) socket.destroy();
  }
}
