/**
 * What a mask policy asks for, as OPA has it: a set of JSON pointers, or of `{op, path, value}` with `op` `remove` or
 * `upsert`, into `/input`, `/result` or `/nd_builtin_cache`. What is not there is not removed, and not an error.
 *
 * Here a mask is all or nothing: one rule that cannot be understood makes the whole mask one that failed.
 */
import type { Json } from '../core/json.ts';
import { isJsonObject } from '../core/json.ts';
import { parsePointer } from './json-pointer.ts';
import { isLogObject, type LogJson, type LogObject, memberOf, setMember } from './json-text.ts';

export interface MaskRule {
  readonly op: 'remove' | 'upsert';
  readonly pointer: string;
  readonly parts: readonly string[];
  readonly value: LogJson;
}

/** What was done, as JSON pointers. */
export interface Changes {
  readonly erased: readonly string[];
  readonly masked: readonly string[];
}

/** What a mask policy has asked for. */
export interface Masked extends Changes {
  /** pointers to what was not there */
  readonly missed: readonly string[];
}

const ROOTS: ReadonlySet<string> = new Set(['input', 'result', 'nd_builtin_cache']);
const REMOVED = Symbol('removed');

/** @throws Error  when the result is no mask */
export function readMask(result: Json | undefined): readonly MaskRule[] {
  if (result === undefined) return [];
  if (!Array.isArray(result)) throw new Error('a mask is a set of pointers or of rules');
  return result.map((rule: Json) => {
    if (typeof rule === 'string') return maskRule('remove', rule, null);
    if (!isJsonObject(rule)) throw new Error('a rule of a mask is a pointer or an object');
    const { op, path, value = null } = rule;
    if (op !== 'remove' && op !== 'upsert') throw new Error('`op` of a mask is neither remove nor upsert');
    if (typeof path !== 'string') throw new Error('`path` of a mask is not a string');
    return maskRule(op, path, value as LogJson);
  });
}

function maskRule(op: MaskRule['op'], pointer: string, value: LogJson): MaskRule {
  const parts = parsePointer(pointer);
  if (parts === undefined) throw new Error('a path of a mask is no JSON pointer');
  if (!ROOTS.has(parts[0] ?? '')) throw new Error('a mask changes input, result and nd_builtin_cache only');
  return { op, pointer, parts, value };
}

/** Every pointer means the place that it had before: elements of lists are taken out together at the end. */
export function applyMask(event: LogObject, rules: readonly MaskRule[]): Masked {
  const erased: string[] = [];
  const masked: string[] = [];
  const missed: string[] = [];
  const holed = new Set<LogJson[]>();
  for (const { op, pointer, parts, value } of rules) {
    const key = parts.at(-1) ?? '';
    const parent = parentOf(event, parts, op === 'upsert');
    if (op === 'upsert') {
      const isPut = parent !== undefined && upsert(parent, key, structuredClone(value));
      (isPut ? masked : missed).push(pointer);
    } else {
      const isGone = parent !== undefined && remove(parent, key, holed);
      (isGone ? erased : missed).push(pointer);
    }
  }
  for (const list of holed) {
    const kept = list.filter((element) => (element as unknown) !== REMOVED);
    list.splice(0, list.length, ...kept);
  }
  return { erased, masked, missed };
}

/** @param holed  lists that have lost an element, which still has its place in them */
function remove(parent: LogObject | LogJson[], key: string, holed: Set<LogJson[]>): boolean {
  if (!Array.isArray(parent)) return Object.hasOwn(parent, key) && delete parent[key];
  const index = indexIn(parent, key);
  if (index === undefined) return false;
  parent[index] = REMOVED as unknown as LogJson;
  holed.add(parent);
  return true;
}

function upsert(parent: LogObject | LogJson[], key: string, value: LogJson): boolean {
  if (!Array.isArray(parent)) {
    setMember(parent, key, value);
    return true;
  }
  const index = indexIn(parent, key);
  if (index !== undefined) parent[index] = value;
  return index !== undefined;
}

/** @param make  objects that are missing on the way */
function parentOf(
  event: LogObject,
  parts: readonly string[],
  make: boolean,
): LogObject | LogJson[] | undefined {
  let node: LogObject | LogJson[] = event;
  for (const part of parts.slice(0, -1)) {
    const next: LogJson | undefined = childOf(node, part);
    if (next === undefined && make && !Array.isArray(node)) {
      const made: LogObject = {};
      setMember(node, part, made);
      node = made;
    } else if (Array.isArray(next) || isLogObject(next)) node = next;
    else return undefined;
  }
  return node;
}

function childOf(node: LogObject | LogJson[], part: string): LogJson | undefined {
  if (!Array.isArray(node)) return memberOf(node, part);
  const index = indexIn(node, part);
  return index === undefined ? undefined : node[index];
}

function indexIn(list: readonly LogJson[], part: string): number | undefined {
  if (!/^(0|[1-9][0-9]*)$/.test(part)) return undefined;
  const index = Number(part);
  return index < list.length ? index : undefined;
}
