/**
 * `envoy.service.discovery.v3.DeltaDiscoveryRequest` and `…Response`: bytes ↔ plain objects with the fields that we
 * use. Unknown and unused fields of a request are skipped, as protobuf asks of every reader.
 */
import { create, type DescMessage, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import { Failure } from '../core/failure.ts';

/** A resource as it travels: `google.protobuf.Any`. */
export interface EncodedResource {
  /** for example `type.googleapis.com/envoy.config.cluster.v3.Cluster` */
  readonly typeUrl: string;
  readonly bytes: Uint8Array;
}

export interface DeltaRequest {
  /** '' when the message carries no node */
  readonly nodeId: string;
  readonly typeUrl: string;
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** name → version that the client has; counts on the first request of a type only */
  readonly initialVersions: Readonly<Record<string, string>>;
  /** '' when this is not an answer to a response */
  readonly nonce: string;
  /** present: a NACK, whatever else the message says */
  readonly error?: { readonly code: number; readonly message: string };
}

export interface DeltaResource {
  readonly name: string;
  readonly version: string;
  readonly resource: EncodedResource;
}

export interface DeltaResponse {
  readonly typeUrl: string;
  readonly nonce: string;
  /** for people: a digest of the whole state of the type */
  readonly systemVersion: string;
  readonly resources: readonly DeltaResource[];
  readonly removed: readonly string[];
}

export interface DeltaCodecs {
  /** @throws Failure request_malformed */
  decodeDeltaRequest(bytes: Uint8Array): DeltaRequest;
  encodeDeltaRequest(request: DeltaRequest): Uint8Array;
  /** @throws Failure request_malformed */
  decodeDeltaResponse(bytes: Uint8Array): DeltaResponse;
  encodeDeltaResponse(response: DeltaResponse): Uint8Array;
}

/** The members of the generated messages, named as @bufbuild/protobuf names them. */
interface RequestMessage extends Message {
  node?: { id: string };
  typeUrl: string;
  resourceNamesSubscribe: string[];
  resourceNamesUnsubscribe: string[];
  initialResourceVersions: Record<string, string>;
  responseNonce: string;
  errorDetail?: { code: number; message: string };
}
interface ResponseMessage extends Message {
  typeUrl: string;
  nonce: string;
  systemVersionInfo: string;
  resources: { name: string; version: string; resource?: { typeUrl: string; value: Uint8Array } }[];
  removedResources: string[];
}

export function createDeltaCodecs(messageOf: (typeName: string) => DescMessage): DeltaCodecs {
  const requestSchema = messageOf('envoy.service.discovery.v3.DeltaDiscoveryRequest');
  const responseSchema = messageOf('envoy.service.discovery.v3.DeltaDiscoveryResponse');
  return {
    decodeDeltaRequest: (bytes) => toRequest(decode<RequestMessage>(requestSchema, bytes)),
    encodeDeltaRequest: (request) => toBinary(requestSchema, create(requestSchema, fromRequest(request))),
    decodeDeltaResponse: (bytes) => toResponse(decode<ResponseMessage>(responseSchema, bytes)),
    encodeDeltaResponse: (response) =>
      toBinary(responseSchema, create(responseSchema, fromResponse(response))),
  };
}

function decode<M extends Message>(schema: DescMessage, bytes: Uint8Array): M {
  try {
    return fromBinary(schema, bytes) as M;
  } catch (error) {
    throw Failure.from(error, 'request_malformed', `not a ${schema.name}`);
  }
}

function toRequest(message: RequestMessage): DeltaRequest {
  const { errorDetail } = message;
  return {
    nodeId: message.node?.id ?? '',
    typeUrl: message.typeUrl,
    subscribe: message.resourceNamesSubscribe,
    unsubscribe: message.resourceNamesUnsubscribe,
    initialVersions: message.initialResourceVersions,
    nonce: message.responseNonce,
    ...(errorDetail && { error: { code: errorDetail.code, message: errorDetail.message } }),
  };
}

function fromRequest(request: DeltaRequest): Partial<Record<keyof RequestMessage, unknown>> {
  return {
    ...(request.nodeId !== '' && { node: { id: request.nodeId } }),
    typeUrl: request.typeUrl,
    resourceNamesSubscribe: [...request.subscribe],
    resourceNamesUnsubscribe: [...request.unsubscribe],
    initialResourceVersions: { ...request.initialVersions },
    responseNonce: request.nonce,
    ...(request.error && { errorDetail: { ...request.error } }),
  };
}

function toResponse(message: ResponseMessage): DeltaResponse {
  return {
    typeUrl: message.typeUrl,
    nonce: message.nonce,
    systemVersion: message.systemVersionInfo,
    resources: message.resources.map(({ name, version, resource }) => ({
      name,
      version,
      resource: { typeUrl: resource?.typeUrl ?? '', bytes: resource?.value ?? new Uint8Array() },
    })),
    removed: message.removedResources,
  };
}

function fromResponse(response: DeltaResponse): Partial<Record<keyof ResponseMessage, unknown>> {
  return {
    typeUrl: response.typeUrl,
    nonce: response.nonce,
    systemVersionInfo: response.systemVersion,
    resources: response.resources.map(({ name, version, resource }) => ({
      name,
      version,
      resource: { typeUrl: resource.typeUrl, value: resource.bytes },
    })),
    removedResources: [...response.removed],
  };
}
