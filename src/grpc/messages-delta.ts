/** `envoy.service.discovery.v3.DeltaDiscoveryRequest` and `…Response`. */
import type { Message } from '@bufbuild/protobuf';
import {
  type AnyMessage,
  type ControlPlaneMessage,
  type DiscoveryRequestBase,
  decode,
  type EncodedResource,
  encode,
  type FieldsOf,
  fromEncodedResource,
  fromRequestBase,
  joinRepeated,
  type MessageOf,
  once,
  type RequestBaseMessage,
  toEncodedResource,
  toRequestBase,
} from './messages-codec.ts';

export interface DeltaRequest extends DiscoveryRequestBase {
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** name → version that the client has; counts on the first request of a type only */
  readonly initialVersions: Readonly<Record<string, string>>;
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
  /** who answers, for people: Envoy shows it in its statistics */
  readonly controlPlane?: string;
}

export interface DeltaCodecs {
  /** @throws Failure request_malformed */
  decodeDeltaRequest(bytes: Uint8Array): DeltaRequest;
  encodeDeltaRequest(request: DeltaRequest): Uint8Array;
  /** @throws Failure request_malformed */
  decodeDeltaResponse(bytes: Uint8Array): DeltaResponse;
  encodeDeltaResponse(response: DeltaResponse): Uint8Array;
}

interface RequestMessage extends RequestBaseMessage {
  resourceNamesSubscribe: string[];
  resourceNamesUnsubscribe: string[];
  initialResourceVersions: Record<string, string>;
}
interface ResourceMessage extends Message {
  name: string;
  version: string;
  resource?: AnyMessage;
}
interface ResponseMessage extends Message {
  typeUrl: string;
  nonce: string;
  systemVersionInfo: string;
  resources: { name: string; version: string; resource?: AnyMessage }[];
  removedResources: string[];
  controlPlane?: ControlPlaneMessage;
}

export function createDeltaCodecs(messageOf: MessageOf): DeltaCodecs {
  const requestSchema = messageOf('envoy.service.discovery.v3.DeltaDiscoveryRequest');
  const responseSchema = messageOf('envoy.service.discovery.v3.DeltaDiscoveryResponse');
  const resourceSchema = messageOf('envoy.service.discovery.v3.Resource');
  const resourceBytes = once(({ name, version, resource }: DeltaResource) =>
    encode<ResourceMessage>(resourceSchema, { name, version, resource: fromEncodedResource(resource) }),
  );
  return {
    decodeDeltaRequest: (bytes) => toRequest(decode<RequestMessage>(requestSchema, bytes)),
    encodeDeltaRequest: (request) => encode<RequestMessage>(requestSchema, fromRequest(request)),
    decodeDeltaResponse: (bytes) => toResponse(decode<ResponseMessage>(responseSchema, bytes)),
    encodeDeltaResponse: ({ resources, ...head }) =>
      joinRepeated(encode<ResponseMessage>(responseSchema, fromResponse({ ...head, resources: [] })), 2, [
        ...resources.map(resourceBytes),
      ]),
  };
}

function toRequest(message: RequestMessage): DeltaRequest {
  return {
    ...toRequestBase(message),
    subscribe: message.resourceNamesSubscribe,
    unsubscribe: message.resourceNamesUnsubscribe,
    initialVersions: message.initialResourceVersions,
  };
}

function fromRequest(request: DeltaRequest): FieldsOf<RequestMessage> {
  return {
    ...fromRequestBase(request),
    resourceNamesSubscribe: [...request.subscribe],
    resourceNamesUnsubscribe: [...request.unsubscribe],
    initialResourceVersions: { ...request.initialVersions },
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
      resource: toEncodedResource(resource),
    })),
    removed: message.removedResources,
    ...(message.controlPlane && { controlPlane: message.controlPlane.identifier }),
  };
}

function fromResponse(response: DeltaResponse): FieldsOf<ResponseMessage> {
  return {
    typeUrl: response.typeUrl,
    nonce: response.nonce,
    systemVersionInfo: response.systemVersion,
    resources: response.resources.map(({ name, version, resource }) => ({
      name,
      version,
      resource: fromEncodedResource(resource),
    })),
    removedResources: [...response.removed],
    ...(response.controlPlane !== undefined && { controlPlane: { identifier: response.controlPlane } }),
  };
}
