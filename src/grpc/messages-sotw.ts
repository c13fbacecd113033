/** `envoy.service.discovery.v3.DiscoveryRequest` and `…Response`. */
import type { Message } from '@bufbuild/protobuf';
import {
  type AnyMessage,
  type ControlPlaneMessage,
  type DiscoveryRequestBase,
  decode,
  type EncodedResource,
  encode,
  fromEncodedResource,
  fromRequestBase,
  joinRepeated,
  type MessageOf,
  once,
  type RequestBaseMessage,
  toEncodedResource,
  toRequestBase,
} from './messages-codec.ts';

export interface SotwRequest extends DiscoveryRequestBase {
  /** all names that the client wants of the type */
  readonly names: readonly string[];
  /** the last one that it has accepted, also of an earlier stream; '' when none */
  readonly version: string;
}

export interface SotwResponse {
  readonly typeUrl: string;
  readonly nonce: string;
  /** a digest of the whole state of the type */
  readonly version: string;
  readonly resources: readonly EncodedResource[];
  /** who answers, for people: Envoy shows it in its statistics */
  readonly controlPlane?: string;
}

export interface SotwCodecs {
  /** @throws Failure request_malformed */
  decodeSotwRequest(bytes: Uint8Array): SotwRequest;
  encodeSotwRequest(request: SotwRequest): Uint8Array;
  /** @throws Failure request_malformed */
  decodeSotwResponse(bytes: Uint8Array): SotwResponse;
  encodeSotwResponse(response: SotwResponse): Uint8Array;
}

interface RequestMessage extends RequestBaseMessage {
  versionInfo: string;
  resourceNames: string[];
}
interface ResponseMessage extends Message {
  typeUrl: string;
  nonce: string;
  versionInfo: string;
  resources: AnyMessage[];
  controlPlane?: ControlPlaneMessage;
}

export function createSotwCodecs(messageOf: MessageOf): SotwCodecs {
  const requestSchema = messageOf('envoy.service.discovery.v3.DiscoveryRequest');
  const responseSchema = messageOf('envoy.service.discovery.v3.DiscoveryResponse');
  const anySchema = messageOf('google.protobuf.Any');
  const anyBytes = once((resource: EncodedResource) =>
    encode<AnyMessage & Message>(anySchema, fromEncodedResource(resource)),
  );
  return {
    decodeSotwRequest(bytes) {
      const message = decode<RequestMessage>(requestSchema, bytes);
      return { ...toRequestBase(message), names: message.resourceNames, version: message.versionInfo };
    },
    encodeSotwRequest: (request) =>
      encode<RequestMessage>(requestSchema, {
        ...fromRequestBase(request),
        resourceNames: [...request.names],
        versionInfo: request.version,
      }),
    decodeSotwResponse(bytes) {
      const message = decode<ResponseMessage>(responseSchema, bytes);
      return {
        typeUrl: message.typeUrl,
        nonce: message.nonce,
        version: message.versionInfo,
        resources: message.resources.map(toEncodedResource),
        ...(message.controlPlane && { controlPlane: message.controlPlane.identifier }),
      };
    },
    encodeSotwResponse({ typeUrl, nonce, version, resources, controlPlane }) {
      const head = encode<ResponseMessage>(responseSchema, {
        typeUrl,
        nonce,
        versionInfo: version,
        ...(controlPlane !== undefined && { controlPlane: { identifier: controlPlane } }),
      });
      return joinRepeated(head, 2, resources.map(anyBytes));
    },
  };
}
