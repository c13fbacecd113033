/** `envoy.service.status.v3.ClientStatusRequest` and `…Response`, without what is deprecated in them. */
import type { Message } from '@bufbuild/protobuf';
import { Failure } from '../core/failure.ts';
import { decode, encode, type MessageOf } from './messages-codec.ts';

/** Which nodes are asked about; several are an "or". */
export interface NodeMatch {
  readonly kind: 'exact' | 'prefix' | 'suffix';
  readonly value: string;
}

/** How what a client has compares with what it should have. */
export const CONFIG_STATUSES = { unknown: 0, synced: 1, 'not-sent': 2, stale: 3, error: 4 } as const;
/** What the client has said of it. */
export const CLIENT_STATUSES = {
  unknown: 0,
  requested: 1,
  'does-not-exist': 2,
  acked: 3,
  nacked: 4,
} as const;

export interface ResourceStatus {
  readonly typeUrl: string;
  readonly name: string;
  /** that it should have; '' when there is none */
  readonly version: string;
  readonly config: keyof typeof CONFIG_STATUSES;
  readonly client: keyof typeof CLIENT_STATUSES;
  /** of a refusal */
  readonly error?: { readonly version: string; readonly reason: string; readonly atMs: number };
}

export interface ClientStatus {
  readonly nodeId: string;
  /** tells several streams of one node apart */
  readonly scope: string;
  readonly resources: readonly ResourceStatus[];
}

export interface StatusCodecs {
  /** @throws Failure request_malformed  also for a matcher of another kind than those of `NodeMatch` */
  decodeStatusRequest(bytes: Uint8Array): readonly NodeMatch[];
  encodeStatusResponse(clients: readonly ClientStatus[]): Uint8Array;
}

interface RequestMessage extends Message {
  nodeMatchers: {
    nodeId?: { matchPattern: { case?: string; value?: unknown } };
    nodeMetadatas: unknown[];
  }[];
}
interface ResponseMessage extends Message {
  config: object[];
}

export function createStatusCodecs(messageOf: MessageOf): StatusCodecs {
  const requestSchema = messageOf('envoy.service.status.v3.ClientStatusRequest');
  const responseSchema = messageOf('envoy.service.status.v3.ClientStatusResponse');
  return {
    decodeStatusRequest: (bytes) =>
      decode<RequestMessage>(requestSchema, bytes).nodeMatchers.map((matcher) => toNodeMatch(matcher)),
    encodeStatusResponse: (clients) =>
      encode<ResponseMessage>(responseSchema, { config: clients.map(fromClientStatus) }),
  };
}

function toNodeMatch({ nodeId, nodeMetadatas }: RequestMessage['nodeMatchers'][number]): NodeMatch {
  const { case: kind, value } = nodeId?.matchPattern ?? {};
  const known = kind === 'exact' || kind === 'prefix' || kind === 'suffix';
  if (known && typeof value === 'string' && nodeMetadatas.length === 0) return { kind, value };
  throw new Failure('request_malformed', 'node_matchers: only node_id with exact, prefix or suffix');
}

function fromClientStatus({ nodeId, scope, resources }: ClientStatus): object {
  return {
    node: { id: nodeId },
    clientScope: scope,
    genericXdsConfigs: resources.map(({ typeUrl, name, version, config, client, error }) => ({
      typeUrl,
      name,
      versionInfo: version,
      configStatus: CONFIG_STATUSES[config],
      clientStatus: CLIENT_STATUSES[client],
      ...(error && {
        errorState: {
          details: error.reason,
          versionInfo: error.version,
          lastUpdateAttempt: {
            seconds: BigInt(Math.floor(error.atMs / 1_000)),
            nanos: (error.atMs % 1_000) * 1_000_000,
          },
        },
      }),
    })),
  };
}
