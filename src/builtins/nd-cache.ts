/** What built-ins answered in one evaluation that may say something else each time, as OPA's decision log has it. */
import type { AnsweredCall } from './builtin.ts';
import { jsonString, jsonText } from './json-text.ts';
import { parseText } from './parse-text.ts';

/**
 * @returns JSON: by the name of the built-in, by the JSON of the list of arguments, what it answered
 * @throws Failure policy_failed  what is too deep or too large
 */
export function toNdBuiltinCache(calls: Iterable<AnsweredCall>): string {
  const members = new Map<string, Map<string, string>>();
  for (const { name, args, text } of calls) {
    if (text === undefined) continue;
    const answers = members.get(name) ?? new Map<string, string>();
    answers.set(jsonText(args.map(parseText)), jsonText(parseText(text)));
    members.set(name, answers);
  }
  return toObject([...members].map(([name, answers]) => [name, toObject([...answers])]));
}

function toObject(entries: readonly (readonly [key: string, json: string])[]): string {
  return `{${entries.map(([key, json]) => `${jsonString(key)}:${json}`).join(',')}}`;
}
