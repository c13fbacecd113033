import { type ChannelCredentials, Client, type ClientDuplexStream, credentials } from '@grpc/grpc-js';
import type { EnvoyMessages } from '../../src/grpc/messages.ts';
import type { DeltaRequest, DeltaResponse } from '../../src/grpc/messages-delta.ts';
import type { SotwRequest, SotwResponse } from '../../src/grpc/messages-sotw.ts';
import { ADS_SERVICE_NAME } from '../../src/xds/ads-service.ts';
import { type ResourceType, TYPE_URLS } from '../../src/xds/resource-types.ts';
import { eventually } from './eventually.ts';
import { PORT_NAME } from './tls-files.ts';

export interface AdsClient<Request = DeltaRequest, Response = DeltaResponse> {
  /** sends; `type` is a ResourceType or a type URL */
  send(type: string, change?: Partial<Request>): void;
  sendBytes(bytes: Uint8Array): void;
  /** the next response that has not been taken yet */
  next(): Promise<Response>;
  /** how many responses wait to be taken */
  waiting(): number;
  /** of all responses so far */
  receivedBytes(): number;
  /** the status that ended the stream */
  ended(): Promise<{ code: number; details: string }>;
  halfClose(): void;
  close(): void;
}
export type SotwClient = AdsClient<SotwRequest, SotwResponse>;

/** A client of delta ADS that does nothing by itself: no ACK, no subscription. */
export function openAdsClient(port: number, messages: EnvoyMessages, tls?: ChannelCredentials): AdsClient {
  const nothing = { nodeId: '', subscribe: [], unsubscribe: [], initialVersions: {}, nonce: '' };
  const codec: Codec<DeltaRequest, DeltaResponse> = {
    encode: (typeUrl, change) => messages.encodeDeltaRequest({ ...nothing, typeUrl, ...change }),
    decode: (bytes) => messages.decodeDeltaResponse(bytes),
  };
  return openClient(port, 'DeltaAggregatedResources', codec, tls);
}

/** A client of state-of-the-world ADS that does nothing by itself either, and does not remember its names. */
export function openSotwClient(port: number, messages: EnvoyMessages, tls?: ChannelCredentials): SotwClient {
  const nothing = { nodeId: '', names: [], version: '', nonce: '' };
  const codec: Codec<SotwRequest, SotwResponse> = {
    encode: (typeUrl, change) => messages.encodeSotwRequest({ ...nothing, typeUrl, ...change }),
    decode: (bytes) => messages.decodeSotwResponse(bytes),
  };
  return openClient(port, 'StreamAggregatedResources', codec, tls);
}

interface Codec<Request, Response> {
  readonly encode: (typeUrl: string, change: Partial<Request>) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => Response;
}

function openClient<Request, Response>(
  port: number,
  method: string,
  { encode, decode }: Codec<Request, Response>,
  tls: ChannelCredentials = credentials.createInsecure(),
): AdsClient<Request, Response> {
  const client = new Client(`127.0.0.1:${port}`, tls, { 'grpc.ssl_target_name_override': PORT_NAME });
  const stream: ClientDuplexStream<Uint8Array, Uint8Array> = client.makeBidiStreamRequest(
    `/${ADS_SERVICE_NAME}/${method}`,
    (bytes: Uint8Array): Buffer => Buffer.from(bytes),
    (bytes: Buffer) => bytes,
  );
  const responses: Response[] = [];
  let status: { code: number; details: string } | undefined;
  let received = 0;
  stream.on('data', (bytes: Uint8Array) => {
    received += bytes.byteLength;
    responses.push(decode(bytes));
  });
  stream.on('error', () => {});
  stream.on('status', ({ code, details }) => {
    status = { code, details };
  });
  return {
    send: (type, change = {}) =>
      void stream.write(encode(type in TYPE_URLS ? TYPE_URLS[type as ResourceType] : type, change)),
    sendBytes: (bytes) => void stream.write(bytes),
    next: async () => {
      await eventually('a response', () => responses.length > 0, 10_000);
      return responses.shift() as Response;
    },
    waiting: () => responses.length,
    receivedBytes: () => received,
    ended: () => eventually('the stream ends', () => status, 10_000),
    halfClose: () => void stream.end(),
    close() {
      stream.cancel();
      client.close();
    },
  };
}
