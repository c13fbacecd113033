/** What V8 tells a reviver about a primitive value, beside the value. */
interface Source {
  readonly source?: string;
}
type SourceReviver = (this: object, key: string, value: unknown, context: Source) => unknown;

/**
 * How a number is written that is a member of the outermost object: `403`, `403.0` or `4.03e2`.
 *
 * @param json  text of a JSON object
 * @returns undefined when the member is not there or is not a number
 */
export function memberNumberText(json: string, member: string): string | undefined {
  const texts = new WeakMap<object, string>();
  const remember: SourceReviver = function (key, value, context) {
    if (key === member && typeof value === 'number' && context.source !== undefined) {
      texts.set(this, context.source);
    }
    return value;
  };
  const outermost: unknown = JSON.parse(json, remember as (key: string, value: unknown) => unknown);
  return typeof outermost === 'object' && outermost !== null ? texts.get(outermost) : undefined;
}
