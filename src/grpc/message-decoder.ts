/**
 * What methods of gRPC services take, by a FileDescriptorSet (`protoc --include_imports --descriptor_set_out`): bytes
 * to canonical protobuf JSON.
 */
import { readFileSync } from 'node:fs';
import {
  createFileRegistry,
  type DescMessage,
  type FileRegistry,
  fromBinary,
  toJsonString,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { Failure } from '../core/failure.ts';
import { shortenFloats } from './short-floats.ts';

export interface MessageDecoder {
  /**
   * @param service  full name
   * @returns undefined when the method is not known, or takes a stream
   * @throws when the bytes are not of its type, or deeper than 100 levels
   */
  toJson(service: string, method: string, message: Uint8Array): string | undefined;
}

/** @throws Failure request_malformed  when the file cannot be read */
export function readDescriptorSet(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new Failure('request_malformed', 'authz.protoDescriptorFile cannot be read', { cause });
  }
}

/**
 * @param descriptorSet  see `readDescriptorSet`
 * @throws Failure request_malformed  when it is not a whole descriptor set
 */
export function createMessageDecoder(descriptorSet: Uint8Array): MessageDecoder {
  const registry = toRegistry(descriptorSet);
  return {
    toJson(service, method, bytes) {
      const input = inputOf(registry, service, method);
      if (input === undefined) return undefined;
      const message = fromBinary(input, bytes, { readUnknownFields: false });
      shortenFloats(input, message);
      return toJsonString(input, message, { registry });
    },
  };
}

function toRegistry(descriptorSet: Uint8Array): FileRegistry {
  try {
    return createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptorSet));
  } catch (cause) {
    throw new Failure(
      'request_malformed',
      'authz.protoDescriptorFile is not a descriptor set with all that it imports',
      { cause },
    );
  }
}

function inputOf(registry: FileRegistry, service: string, method: string): DescMessage | undefined {
  const found = registry.getService(service)?.methods.find(({ name }) => name === method);
  const streams = found?.methodKind === 'client_streaming' || found?.methodKind === 'bidi_streaming';
  return streams ? undefined : found?.input;
}
