/**
 * A `float` as the shortest text that means it: protobuf JSON writes 0.1 as `0.1`, but widened to the double that
 * JavaScript has it is 0.10000000149011612, and a policy that compares it with 0.1 would not find it.
 */
import { type DescField, type DescMessage, type Message, ScalarType } from '@bufbuild/protobuf';
import { FloatValueSchema } from '@bufbuild/protobuf/wkt';

type Values = Record<string, unknown>;

/** Changes the message in place; what an `Any` holds stays as it is. */
export function shortenFloats(desc: DescMessage, message: Message): void {
  const values = message as unknown as Values;
  for (const field of desc.fields) {
    const holder = field.oneof === undefined ? values : (values[field.oneof.localName] as Values);
    const key = field.oneof === undefined ? field.localName : 'value';
    if (field.oneof !== undefined && holder['case'] !== field.localName) continue;
    // what is not set of a message with explicit presence stands on its prototype
    if (Object.hasOwn(holder, key) && holder[key] !== undefined) holder[key] = shortened(field, holder[key]);
  }
}

function shortened(field: DescField, value: unknown): unknown {
  switch (field.fieldKind) {
    case 'scalar':
      return field.scalar === ScalarType.FLOAT ? shortest(value as number) : value;
    case 'enum':
      return value;
    case 'message':
      return ofMessage(field.message, value);
    case 'list':
      return (value as unknown[]).map((element) =>
        field.listKind === 'message'
          ? ofMessage(field.message, element)
          : ofScalar(field.listKind === 'scalar' ? field.scalar : undefined, element),
      );
    case 'map':
      return Object.fromEntries(
        Object.entries(value as Values).map(([key, element]) => [
          key,
          field.mapKind === 'message'
            ? ofMessage(field.message, element)
            : ofScalar(field.mapKind === 'scalar' ? field.scalar : undefined, element),
        ]),
      );
    default:
      return field satisfies never;
  }
}

function ofScalar(scalar: ScalarType | undefined, value: unknown): unknown {
  return scalar === ScalarType.FLOAT ? shortest(value as number) : value;
}

/** A wrapper in a singular field is the bare value here, and a Struct is plain JSON. */
function ofMessage(desc: DescMessage, value: unknown): unknown {
  if (typeof value === 'number' && desc.typeName === FloatValueSchema.typeName) return shortest(value);
  if (typeof value === 'object' && value !== null && '$typeName' in value) {
    shortenFloats(desc, value as Message);
  }
  return value;
}

function shortest(value: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const candidate = Number(value.toPrecision(digits));
    if (Math.fround(candidate) === value) return candidate;
  }
  return value;
}
