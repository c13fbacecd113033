/** The front door of the room: answers the calls that TypeScript answers. */
import { Failure } from '../core/failure.ts';
import { arithmetic } from './arithmetic.ts';
import type { CallBuiltin } from './builtin.ts';
import { casts } from './casts.ts';
import { clock } from './clock.ts';
import { digests } from './digests.ts';
import { encoding } from './encoding.ts';
import { type Family, isBuiltinError } from './implementation.ts';
import { json } from './json.ts';
import { jwt } from './jwt.ts';
import { objects } from './objects.ts';
import { parseText } from './parse-text.ts';
import { semver } from './semver.ts';
import { strings } from './strings.ts';
import { urlquery } from './urlquery.ts';
import { writeText } from './write-text.ts';

const FAMILIES: readonly Family[] = [
  json,
  encoding,
  urlquery,
  digests,
  jwt,
  clock,
  strings,
  semver,
  objects,
  arithmetic,
  casts,
];

const implementations = new Map(FAMILIES.flatMap((family) => Object.entries(family)));

/** What TypeScript answers. */
export const IMPLEMENTED: ReadonlySet<string> = new Set(implementations.keys());

/** Reading an argument, and what most functions do with each of its characters. */
const UNITS_PER_CHAR = 12;
const UNITS_PER_CALL = 500;

export const callBuiltin: CallBuiltin = (name, args, context) => {
  const implementation = implementations.get(name);
  if (implementation === undefined) {
    throw new Failure('policy_failed', `The built-in function ${name} is not answered here`);
  }
  context.charge(args.reduce((units, each) => units + each.length * UNITS_PER_CHAR, UNITS_PER_CALL));
  try {
    const answer = implementation(args.map(parseText), context);
    return answer === undefined ? undefined : writeText(answer);
  } catch (thrown) {
    if (isBuiltinError(thrown)) return undefined;
    throw thrown;
  }
};
