/**
 * A large resource is encoded in parts, since most of a route table stays as it is when a grant changes. A part is an
 * object that is the same as before: then its bytes are, too.
 *
 * The bytes of a message are those of its fields one after the other (protobuf encoding, "Message structure"), so parts
 * that are encoded apart make the same message. Each part is parsed as strictly as the whole.
 */
import type { DescMessage } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { Failure } from '../core/failure.ts';
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';

export type EncodeMessage = (schema: DescMessage, fields: JsonObject) => Uint8Array;

/** Repeated fields, each within the one before, whose innermost elements are the parts. */
export const PARTS: Readonly<Record<string, readonly string[]>> = {
  'envoy.config.route.v3.RouteConfiguration': ['virtualHosts', 'routes'],
};

/** @param encode  of a whole message; throws where it is not valid */
export function createPartsEncoder(encode: EncodeMessage): EncodeMessage {
  const known = new WeakMap<JsonObject, Uint8Array>();
  const encodePart: EncodeMessage = (schema, part) => {
    const bytes = known.get(part) ?? encode(schema, part);
    known.set(part, bytes);
    return bytes;
  };
  const encodeAround = (schema: DescMessage, fields: JsonObject, path: readonly string[]): Uint8Array => {
    const [name, ...deeper] = path;
    if (name === undefined) return encodePart(schema, fields);
    const { [name]: elements = [], ...rest } = fields;
    const writer = new BinaryWriter().raw(encode(schema, rest));
    const { number, message } = repeatedField(schema, name);
    for (const element of expectObjects(elements, name)) {
      writer.tag(number, WireType.LengthDelimited).bytes(encodeAround(message, element, deeper));
    }
    return writer.finish();
  };
  return (schema, fields) => {
    const path = PARTS[schema.typeName];
    return path === undefined ? encode(schema, fields) : encodeAround(schema, fields, path);
  };
}

function repeatedField(
  schema: DescMessage,
  name: string,
): { readonly number: number; readonly message: DescMessage } {
  const field = schema.fields.find(({ jsonName }) => jsonName === name);
  if (field?.fieldKind === 'list' && field.listKind === 'message') return field;
  throw new Failure('internal', `${schema.typeName} has no repeated messages "${name}"`);
}

function expectObjects(elements: Json, name: string): readonly JsonObject[] {
  if (Array.isArray(elements) && elements.every(isJsonObject)) return elements;
  throw new Failure('internal', `"${name}" is no list of messages`);
}
