/** Values into Rego text that `opa_value_parse` reads, in OPA's order of printing. */
import { RegoNumber, RegoObject, RegoSet, type Value } from './value.ts';

/** An answer that is Rego text already: JSON that was checked, so that it need not be read and written again. */
export class Verbatim {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export function writeText(value: Value | Verbatim): string {
  if (typeof value === 'string') return JSON.stringify(value.toWellFormed());
  if (value === null || typeof value === 'boolean') return String(value);
  if (value instanceof RegoNumber || value instanceof Verbatim) return value.text;
  if (value instanceof RegoObject) {
    return `{${value.sorted.map(([key, member]) => `${writeText(key)}: ${writeText(member)}`).join(', ')}}`;
  }
  if (!(value instanceof RegoSet)) return `[${value.map(writeText).join(', ')}]`;
  return value.members.length === 0 ? 'set()' : `{${value.sorted.map(writeText).join(', ')}}`;
}
