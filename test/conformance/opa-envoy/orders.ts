/** Messages of `orders.proto` as bytes, and in gRPC's frames. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFileRegistry, fromBinary, fromJson, type JsonValue, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { writeDescriptorSet } from './groups.ts';

const folder = mkdtempSync(join(tmpdir(), 'chancery-orders-'));
const registry = createFileRegistry(
  fromBinary(FileDescriptorSetSchema, readFileSync(writeDescriptorSet(folder))),
);
rmSync(folder, { recursive: true });

export function order(json: JsonValue): Buffer {
  const schema = registry.getMessage('shop.v1.Order');
  if (schema === undefined) throw new Error('orders.proto has no Order');
  return Buffer.from(toBinary(schema, fromJson(schema, json, { registry })));
}

/** @param size  as the frame says, where that is not the truth */
export function frame(message: Buffer, { flag = 0, size = message.length } = {}): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flag, 0);
  head.writeUInt32BE(size, 1);
  return Buffer.concat([head, message]);
}
