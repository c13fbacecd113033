/** Bytes ↔ plain objects with the fields that we use. Unknown and unused fields are skipped, as protobuf asks. */
import { create, type DescMessage, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import { Failure } from '../core/failure.ts';

export type MessageOf = (typeName: string) => DescMessage;

/** A resource as it travels: `google.protobuf.Any`. */
export interface EncodedResource {
  /** for example `type.googleapis.com/envoy.config.cluster.v3.Cluster` */
  readonly typeUrl: string;
  readonly bytes: Uint8Array;
}

/** What the requests of both variants of the protocol say. */
export interface DiscoveryRequestBase {
  /** '' when the message carries no node */
  readonly nodeId: string;
  readonly typeUrl: string;
  /** '' when this is not an answer to a response */
  readonly nonce: string;
  /** present: a NACK, whatever else the message says */
  readonly error?: { readonly code: number; readonly message: string };
}

/** The members of the generated messages, named as @bufbuild/protobuf names them. */
export interface RequestBaseMessage extends Message {
  node?: { id: string };
  typeUrl: string;
  responseNonce: string;
  errorDetail?: { code: number; message: string };
}
export interface AnyMessage {
  typeUrl: string;
  value: Uint8Array;
}

export interface ControlPlaneMessage {
  identifier: string;
}

export type FieldsOf<M extends Message> = Partial<Record<keyof M, unknown>>;

/** @throws Failure request_malformed */
export function decode<M extends Message>(schema: DescMessage, bytes: Uint8Array): M {
  try {
    return fromBinary(schema, bytes) as M;
  } catch (error) {
    throw Failure.from(error, 'request_malformed', `not a ${schema.name}`);
  }
}

export function encode<M extends Message>(schema: DescMessage, fields: FieldsOf<M>): Uint8Array {
  return toBinary(schema, create(schema, fields));
}

export function toRequestBase({
  node,
  typeUrl,
  responseNonce,
  errorDetail,
}: RequestBaseMessage): DiscoveryRequestBase {
  return {
    nodeId: node?.id ?? '',
    typeUrl,
    nonce: responseNonce,
    ...(errorDetail && { error: { code: errorDetail.code, message: errorDetail.message } }),
  };
}

export function fromRequestBase(request: DiscoveryRequestBase): FieldsOf<RequestBaseMessage> {
  return {
    ...(request.nodeId !== '' && { node: { id: request.nodeId } }),
    typeUrl: request.typeUrl,
    responseNonce: request.nonce,
    ...(request.error && { errorDetail: { ...request.error } }),
  };
}

export function toEncodedResource(any: AnyMessage | undefined): EncodedResource {
  return { typeUrl: any?.typeUrl ?? '', bytes: any?.value ?? new Uint8Array() };
}

export function fromEncodedResource({ typeUrl, bytes }: EncodedResource): AnyMessage {
  return { typeUrl, value: bytes };
}

/** Of one object the bytes are made once, for as long as it is there. */
export function once<T extends object>(encodeOne: (value: T) => Uint8Array): (value: T) => Uint8Array {
  const known = new WeakMap<T, Uint8Array>();
  return (value) => {
    const bytes = known.get(value) ?? encodeOne(value);
    known.set(value, bytes);
    return bytes;
  };
}

/**
 * A message and, after it, elements of one of its repeated fields, which are encoded already. (Fields of a message may
 * come in any order.)
 *
 * @param field  number of a field of messages, below 16
 */
export function joinRepeated(head: Uint8Array, field: number, elements: readonly Uint8Array[]): Uint8Array {
  const LENGTH_DELIMITED = 2;
  const parts = [head];
  for (const element of elements) {
    parts.push(Uint8Array.of((field << 3) | LENGTH_DELIMITED, ...varint(element.byteLength)), element);
  }
  return Buffer.concat(parts);
}

function varint(value: number): readonly number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest = Math.floor(rest / 128);
  }
  return [...bytes, rest];
}
