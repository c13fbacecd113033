import { Client, type ClientDuplexStream, credentials } from '@grpc/grpc-js';
import type { EnvoyMessages } from '../../src/grpc/messages.ts';
import type { DeltaRequest, DeltaResponse } from '../../src/grpc/messages-delta.ts';
import { ADS_SERVICE_NAME } from '../../src/xds/ads-service.ts';
import { type ResourceType, TYPE_URLS } from '../../src/xds/resource-types.ts';
import { eventually } from './eventually.ts';

export interface AdsClient {
  /** sends; `type` is a ResourceType or a type URL */
  send(type: string, change?: Partial<DeltaRequest>): void;
  sendBytes(bytes: Uint8Array): void;
  /** the next response that has not been taken yet */
  next(): Promise<DeltaResponse>;
  /** how many responses wait to be taken */
  waiting(): number;
  /** the status that ended the stream */
  ended(): Promise<{ code: number; details: string }>;
  halfClose(): void;
  close(): void;
}

/** A client of delta ADS that does nothing by itself: no ACK, no subscription. */
export function openAdsClient(port: number, messages: EnvoyMessages): AdsClient {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes);
  const stream: ClientDuplexStream<Uint8Array, Uint8Array> = client.makeBidiStreamRequest(
    `/${ADS_SERVICE_NAME}/DeltaAggregatedResources`,
    asBuffer,
    (bytes: Buffer) => bytes,
  );
  const responses: DeltaResponse[] = [];
  let status: { code: number; details: string } | undefined;
  stream.on('data', (bytes: Uint8Array) => responses.push(messages.decodeDeltaResponse(bytes)));
  stream.on('error', () => {});
  stream.on('status', ({ code, details }) => {
    status = { code, details };
  });
  return {
    send: (type, change = {}) =>
      void stream.write(
        messages.encodeDeltaRequest({
          nodeId: '',
          typeUrl: type in TYPE_URLS ? TYPE_URLS[type as ResourceType] : type,
          subscribe: [],
          unsubscribe: [],
          initialVersions: {},
          nonce: '',
          ...change,
        }),
      ),
    sendBytes: (bytes) => void stream.write(bytes),
    next: async () => {
      await eventually('a response', () => responses.length > 0, 10_000);
      return responses.shift() as DeltaResponse;
    },
    waiting: () => responses.length,
    ended: () => eventually('the stream ends', () => status, 10_000),
    halfClose: () => void stream.end(),
    close() {
      stream.cancel();
      client.close();
    },
  };
}
