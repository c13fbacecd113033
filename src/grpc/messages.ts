/**
 * Envoy's messages by descriptor set (`.generated/envoy.binpb`, built by `.scripts/build-protos.mjs`).
 *
 * Resources come as canonical protobuf JSON and leave as bytes, strictly: an unknown field, an unknown enum name
 * or a type that is not loaded is an error, at every depth (`Any` included). The encoder of a lenient library
 * would drop them in silence, and a dropped field of an access rule is an open door.
 */
import { readFileSync } from 'node:fs';
import {
  createFileRegistry,
  type DescMessage,
  type FileRegistry,
  fromBinary,
  fromJson,
  type JsonValue,
  toBinary,
  toJson,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { Failure } from '../core/failure.ts';
import type { JsonObject } from '../core/json.ts';
import { createPartsEncoder, type EncodeMessage } from './encode-parts.ts';
import type { EncodedResource } from './messages-codec.ts';
import { createDeltaCodecs, type DeltaCodecs } from './messages-delta.ts';
import { createSotwCodecs, type SotwCodecs } from './messages-sotw.ts';
import { createStatusCodecs, type StatusCodecs } from './messages-status.ts';

export interface EnvoyMessages extends DeltaCodecs, SotwCodecs, StatusCodecs {
  /**
   * @param resource  canonical protobuf JSON with `@type` (with or without `type.googleapis.com/`)
   * @throws Failure internal  when the type is not loaded, or a field, an enum name or a value is wrong
   */
  readonly encodeResource: (resource: JsonObject) => EncodedResource;
  /** @throws Failure internal  when the type is not loaded or the bytes are not of it */
  readonly decodeResource: (resource: EncodedResource) => JsonObject;
}

const TYPE_URL_PREFIX = 'type.googleapis.com/';
const DESCRIPTOR_SET = new URL('../../.generated/envoy.binpb', import.meta.url);

/** Reads the descriptor set (a few 10 ms; once per process). @throws Failure internal  when it has not been built */
export function loadEnvoyMessages(descriptorSet: URL = DESCRIPTOR_SET): EnvoyMessages {
  const registry = readRegistry(descriptorSet);
  const messageOf = (typeName: string): DescMessage => {
    const found = registry.getMessage(typeName);
    if (found === undefined) throw new Failure('internal', `no message definition of ${typeName}`);
    return found;
  };
  const encodeMessage = createPartsEncoder((schema, fields) =>
    toBinary(schema, fromJson(schema, fields as JsonValue, { registry, ignoreUnknownFields: false })),
  );
  return {
    encodeResource: (resource) => encodeResource(resource, encodeMessage, messageOf),
    decodeResource: ({ typeUrl, bytes }) => {
      const schema = messageOf(typeUrl.slice(typeUrl.lastIndexOf('/') + 1));
      return { '@type': typeUrl, ...(toJson(schema, fromBinary(schema, bytes), { registry }) as JsonObject) };
    },
    ...createDeltaCodecs(messageOf),
    ...createSotwCodecs(messageOf),
    ...createStatusCodecs(messageOf),
  };
}

function readRegistry(descriptorSet: URL): FileRegistry {
  try {
    return createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptorSet)));
  } catch (error) {
    throw Failure.from(error, 'internal', 'the message definitions of Envoy have not been built');
  }
}

function encodeResource(
  resource: JsonObject,
  encodeMessage: EncodeMessage,
  messageOf: (typeName: string) => DescMessage,
): EncodedResource {
  const { '@type': type, ...fields } = resource;
  if (typeof type !== 'string') throw new Failure('internal', 'a resource without @type');
  const schema = messageOf(type.startsWith(TYPE_URL_PREFIX) ? type.slice(TYPE_URL_PREFIX.length) : type);
  try {
    return { typeUrl: TYPE_URL_PREFIX + schema.typeName, bytes: encodeMessage(schema, fields) };
  } catch (error) {
    throw Failure.from(error, 'internal', `a resource is not a valid ${schema.typeName}: ${reasonOf(error)}`);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown reason';
}
