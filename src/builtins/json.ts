/** `json.marshal`, `json.unmarshal`, `json.is_valid`. */
import { type Family, fail } from './implementation.ts';
import { isJson, jsonToRego } from './json-read.ts';
import { jsonText } from './json-text.ts';
import { stringOf } from './operands.ts';

export const json: Family = {
  'json.marshal': ([value]) => (value === undefined ? fail() : jsonText(value)),
  'json.unmarshal': ([text]) => jsonToRego(stringOf(text)),
  'json.is_valid': ([text]) => typeof text === 'string' && isJson(text),
};
