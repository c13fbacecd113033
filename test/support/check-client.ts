/**
 * A real gRPC client for `envoy.service.auth.v3.Authorization`, from the packaged `.proto` files: what it encodes
 * and decodes owes nothing to our own reader and writer.
 */
import { fileURLToPath } from 'node:url';
import { type ChannelCredentials, Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { loadSync, type MethodDefinition } from '@grpc/proto-loader';
import { PORT_NAME } from './tls-files.ts';

const DEPS = fileURLToPath(new URL('../../node_modules/@grpc/grpc-js-xds/deps/', import.meta.url));
export const PROTO_INCLUDE_DIRS = ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'].map(
  (dir) => DEPS + dir,
);

const definitions = loadSync('envoy/service/auth/v3/external_auth.proto', {
  includeDirs: PROTO_INCLUDE_DIRS,
  keepCase: true,
  longs: String,
  enums: String,
  oneofs: true,
});
const METHOD = (
  definitions['envoy.service.auth.v3.Authorization'] as unknown as {
    readonly Check: MethodDefinition<object, object>;
  }
).Check;

/**
 * Plain object in the proto's own names, for example `{attributes: {request: {http: {method: 'GET'}}}}`; but the
 * members of `google.protobuf.Value` are `stringValue`, `numberValue` …: the loader brings that file itself.
 */
export type CheckRequestObject = object;

export interface HeaderOption {
  readonly header: { readonly key: string; readonly value: string };
  readonly append?: { readonly value: boolean } | null;
  readonly append_action?: string;
}

export interface CheckAnswer {
  readonly status: { readonly code?: number } | null;
  readonly http_response?: 'denied_response' | 'ok_response';
  readonly denied_response?: {
    readonly status: { readonly code: string };
    readonly headers?: readonly HeaderOption[];
    readonly body?: string;
  };
  readonly ok_response?: {
    readonly headers?: readonly HeaderOption[];
    readonly headers_to_remove?: readonly string[];
    readonly response_headers_to_add?: readonly HeaderOption[];
    readonly query_parameters_to_set?: readonly { readonly key: string; readonly value: string }[];
    readonly query_parameters_to_remove?: readonly string[];
  };
  readonly dynamic_metadata?: {
    readonly fields: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  };
}

export function encodeCheckRequest(request: CheckRequestObject): Buffer {
  return METHOD.requestSerialize(request);
}

export function decodeCheckResponse(bytes: Uint8Array): CheckAnswer {
  return METHOD.responseDeserialize(Buffer.from(bytes)) as CheckAnswer;
}

export interface CheckClient {
  /** rejects with the gRPC error when the RPC does not end OK */
  check(request: CheckRequestObject, options?: { readonly timeoutMs?: number }): Promise<CheckAnswer>;
  /** any bytes as they are */
  checkBytes(request: Uint8Array): Promise<CheckAnswer>;
  close(): void;
}

/** @param target  `host:port` */
export function createCheckClient(
  target: string,
  tls: ChannelCredentials = credentials.createInsecure(),
): CheckClient {
  const client = new Client(target, tls, { 'grpc.ssl_target_name_override': PORT_NAME });
  const send = (bytes: Uint8Array, timeoutMs = 10_000): Promise<CheckAnswer> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        METHOD.path,
        (request: Uint8Array) => Buffer.from(request),
        METHOD.responseDeserialize,
        bytes,
        new Metadata(),
        { deadline: Date.now() + timeoutMs },
        (error: ServiceError | null, answer?: object) => {
          if (error === null) resolve(answer as CheckAnswer);
          else reject(error);
        },
      );
    });
  return {
    check: (request, options) => send(encodeCheckRequest(request), options?.timeoutMs),
    checkBytes: (request) => send(request),
    close: () => client.close(),
  };
}

/** A CheckRequest with sensible rest: `http` is merged over a GET of `/`. */
export function aCheckRequest(
  http: object = {},
  attributes: object = {},
): { readonly attributes: Readonly<Record<string, unknown>> } {
  return {
    attributes: {
      request: {
        http: {
          method: 'GET',
          path: '/',
          host: 'example.test',
          scheme: 'http',
          protocol: 'HTTP/1.1',
          ...http,
        },
      },
      ...attributes,
    },
  };
}
