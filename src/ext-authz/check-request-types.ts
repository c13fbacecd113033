/**
 * The messages of `envoy.service.auth.v3.CheckRequest`, with the field numbers of Envoy's API
 * (`envoy/service/auth/v3/attribute_context.proto`, `envoy/config/core/v3/{address,base}.proto`,
 * `google/protobuf/{any,struct,timestamp}.proto`). A field that is not here is checked for form and then ignored.
 */
import { type FieldSpec, type MessageType, messageType, type ScalarKind } from './protobuf-message.ts';

const scalar = (no: number, name: string, kind: ScalarKind, oneof = 0): FieldSpec => ({
  no,
  name,
  kind,
  oneof,
});
const string = (no: number, name: string, oneof = 0): FieldSpec => scalar(no, name, 'string', oneof);
const message = (no: number, name: string, type: () => MessageType, oneof = 0): FieldSpec => ({
  no,
  name,
  kind: 'message',
  message: type,
  oneof,
});
const map = (no: number, name: string, type?: () => MessageType): FieldSpec => ({
  no,
  name,
  kind: 'map',
  ...(type !== undefined && { message: type }),
});

export const ANY = messageType('Any', [string(1, 'typeUrl'), scalar(2, 'value', 'bytes')]);

export const STRUCT: MessageType = messageType('Struct', [map(1, 'fields', () => VALUE)]);

export const LIST_VALUE: MessageType = messageType('ListValue', [
  { no: 1, name: 'values', kind: 'message', message: () => VALUE, repeated: true },
]);

export const VALUE: MessageType = messageType('Value', [
  scalar(1, 'nullValue', 'int32', 1),
  scalar(2, 'numberValue', 'double', 1),
  string(3, 'stringValue', 1),
  scalar(4, 'boolValue', 'bool', 1),
  message(5, 'structValue', () => STRUCT, 1),
  message(6, 'listValue', () => LIST_VALUE, 1),
]);

const TIMESTAMP = messageType('Timestamp', [scalar(1, 'seconds', 'int64'), scalar(2, 'nanos', 'int32')]);

const SOCKET_ADDRESS = messageType('SocketAddress', [
  scalar(1, 'protocol', 'int32'),
  string(2, 'address'),
  scalar(3, 'portValue', 'uint32', 1),
  string(4, 'namedPort', 1),
  string(5, 'resolverName'),
  scalar(6, 'ipv4Compat', 'bool'),
]);

const PIPE = messageType('Pipe', [string(1, 'path'), scalar(2, 'mode', 'uint32')]);

const ENVOY_INTERNAL_ADDRESS = messageType('EnvoyInternalAddress', [
  string(1, 'serverListenerName', 1),
  string(2, 'endpointId'),
]);

const ADDRESS = messageType('Address', [
  message(1, 'socketAddress', () => SOCKET_ADDRESS, 1),
  message(2, 'pipe', () => PIPE, 1),
  message(3, 'envoyInternalAddress', () => ENVOY_INTERNAL_ADDRESS, 1),
]);

export const PEER = messageType('Peer', [
  message(1, 'address', () => ADDRESS),
  string(2, 'service'),
  map(3, 'labels'),
  string(4, 'principal'),
  string(5, 'certificate'),
]);

export const HEADER_VALUE = messageType('HeaderValue', [
  string(1, 'key'),
  string(2, 'value'),
  scalar(3, 'rawValue', 'bytes'),
]);

export const HEADER_MAP = messageType('HeaderMap', [
  { no: 1, name: 'headers', kind: 'message', message: () => HEADER_VALUE, repeated: true, isHeaders: true },
]);

export const HTTP_REQUEST = messageType('HttpRequest', [
  string(1, 'id'),
  string(2, 'method'),
  { ...map(3, 'headers'), isHeaders: true },
  string(4, 'path'),
  string(5, 'host'),
  string(6, 'scheme'),
  string(7, 'query'),
  string(8, 'fragment'),
  scalar(9, 'size', 'int64'),
  string(10, 'protocol'),
  string(11, 'body'),
  scalar(12, 'rawBody', 'bytes'),
  message(13, 'headerMap', () => HEADER_MAP),
]);

export const REQUEST = messageType('Request', [
  message(1, 'time', () => TIMESTAMP),
  message(2, 'http', () => HTTP_REQUEST),
]);

const METADATA = messageType('Metadata', [
  map(1, 'filterMetadata', () => STRUCT),
  map(2, 'typedFilterMetadata', () => ANY),
]);

const TLS_SESSION = messageType('TLSSession', [string(1, 'sni')]);

export const ATTRIBUTES = messageType('AttributeContext', [
  message(1, 'source', () => PEER),
  message(2, 'destination', () => PEER),
  message(4, 'request', () => REQUEST),
  map(10, 'contextExtensions'),
  message(11, 'metadataContext', () => METADATA),
  message(12, 'tlsSession', () => TLS_SESSION),
  message(13, 'routeMetadataContext', () => METADATA),
]);

export const CHECK_REQUEST = messageType('CheckRequest', [message(1, 'attributes', () => ATTRIBUTES)]);
