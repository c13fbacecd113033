/** The node's own calls to the admin REST: its certificate says which node it is. */
import { ApiError } from '../client/api-error.ts';
import { createClient } from '../client/client.ts';
import { createTlsFetch } from '../client/tls-fetch.ts';
import { Failure } from '../core/failure.ts';
import type { JsonObject } from '../core/json.ts';
import type { NodeConfiguration } from '../identity/node-configuration.ts';
import type { NodeFolder } from './node-folder.ts';

export interface NodeOrders {
  /** what its Envoy is started with */
  readonly bootstrap: JsonObject;
  readonly listener: Listener;
  readonly maxOfflineSeconds: number;
  /** undefined: the node has not accepted yet what it should have */
  readonly configuration: NodeConfiguration | undefined;
}

export interface Listener {
  readonly address: string;
  readonly port: number;
  readonly tls: boolean;
}

/** Chancery does not answer, for a reason that has nothing to do with this node. */
export class Away extends Error {
  override readonly name = 'Away';
}

export interface Contact {
  /** @throws Away; ApiError  when this node is refused */
  orders(): Promise<NodeOrders>;
  /** @throws Away, ApiError */
  report(position: string): Promise<void>;
}

export interface ContactOptions {
  readonly url: URL;
  /** PEM; undefined: whom this machine trusts */
  readonly ca: string | undefined;
  readonly node: string;
  readonly folder: Pick<NodeFolder, 'current'>;
}

const CALL_MS = 5_000;
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

export function createContact({ url, ca, node, folder }: ContactOptions): Contact {
  const params = { path: { id: node } };
  /** anew for each call: the certificate is renewed meanwhile */
  const client = () => {
    const identity = folder.current();
    if (identity === undefined)
      throw new Failure('request_malformed', 'this node has no certificate: enrol it');
    const { certificate, privateKey } = identity;
    const tls = {
      certificate,
      privateKey,
      maxAnswerBytes: MAX_ANSWER_BYTES,
      ...(ca !== undefined && { ca }),
    };
    const fetch = createTlsFetch(tls);
    return createClient({ baseUrl: url.origin, fetch, timeoutMs: CALL_MS, maxAttempts: 1 });
  };

  return {
    async orders() {
      const { data } = await orAway(client().GET('/v1/nodes/{id}/configuration', { params }));
      if (data === undefined) throw new Away('the answer is empty');
      const { bootstrap, listener, maxOfflineSeconds, configuration } = data;
      return {
        bootstrap: bootstrap as JsonObject,
        listener,
        maxOfflineSeconds,
        configuration: configuration as NodeConfiguration | undefined,
      };
    },
    async report(position) {
      await orAway(client().POST('/v1/nodes/{id}/proof', { params, body: { position } }));
    },
  };
}

async function orAway<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    const isAway =
      error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 500);
    if (!isAway) throw error;
    const why = error.cause instanceof Error ? `${error.detail}: ${error.cause.message}` : error.detail;
    throw new Away(why, { cause: error });
  }
}
