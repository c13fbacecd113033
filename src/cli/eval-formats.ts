/** Results of a query as `opa eval` prints them. */
import type { Json } from '../core/json.ts';
import type { QueryResult } from '../rego/author-messages.ts';
import { toTable } from './text-table.ts';

export const EVAL_FORMATS = ['json', 'pretty', 'raw', 'values', 'bindings'] as const;
export const EVAL_TARGETS = ['both', 'opa', 'rego', 'wasm'] as const;
export type EvalTarget = (typeof EVAL_TARGETS)[number];
export type EvalFormat = (typeof EVAL_FORMATS)[number];

export function toText(results: readonly QueryResult[], format: EvalFormat): string {
  switch (format) {
    case 'json':
      return indented(results.length === 0 ? {} : { result: results });
    case 'pretty':
      return toPretty(results);
    case 'raw':
      return results.map(({ expressions }) => `${expressions.map(toRaw).join(' ')}\n`).join('');
    case 'values':
      return results.map(({ expressions }) => indented(expressions.map(({ value }) => value))).join('');
    case 'bindings':
      return results.map(({ bindings = {} }) => indented(bindings)).join('');
    default:
      return format satisfies never;
  }
}

/** A single value stands alone; with bindings there is a table, one row per result. */
function toPretty(results: readonly QueryResult[]): string {
  const [first, ...others] = results;
  if (first === undefined) return 'undefined\n';
  const { expressions, bindings = {} } = first;
  const isPlain = others.length === 0 && Object.keys(bindings).length === 0;
  const isOneValue = expressions.length === 1 || expressions.every(({ value }) => typeof value === 'boolean');
  if (isPlain && isOneValue) return indented(expressions[0]?.value ?? null);
  const names = Object.keys(bindings).sort();
  // an expression that only binds or restricts says nothing by being true
  const shown = expressions.flatMap(({ text }, index) =>
    results.every((result) => result.expressions[index]?.value === true) ? [] : [{ text, index }],
  );
  const rows = results.map((result) => [
    ...names.map((name) => JSON.stringify(result.bindings?.[name] ?? null)),
    ...shown.map(({ index }) => JSON.stringify(result.expressions[index]?.value ?? null)),
  ]);
  return toTable([...names, ...shown.map(({ text }) => text)], rows);
}

function toRaw({ value }: { readonly value: Json }): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function indented(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
