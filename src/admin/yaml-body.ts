/** YAML 1.2 in its core schema, as far as it says what JSON could have said: no tags, no anchors, no member twice. */
import { parseDocument, stringify } from 'yaml';
import { Failure } from '../core/failure.ts';
import type { Json } from '../core/json.ts';
import { expectPortable } from './json-body.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Its parser takes many times as long as that of JSON, on the thread of the process. */
const MAX_YAML_BYTES = 262_144;

/** @throws Failure request_malformed  with line and column */
export function parseYamlBody(bytes: Uint8Array): unknown {
  if (bytes.byteLength > MAX_YAML_BYTES) {
    throw new Failure('request_malformed', `more than ${MAX_YAML_BYTES} bytes are taken as JSON only`);
  }
  const value = parse(bytes);
  if (typeof value !== 'object' || value === null) {
    throw new Failure('request_malformed', 'the body is not a YAML mapping');
  }
  expectPortable(value);
  return value;
}

function parse(bytes: Uint8Array): unknown {
  try {
    const document = parseDocument(utf8.decode(bytes), {
      version: '1.2',
      schema: 'core',
      resolveKnownTags: false,
      uniqueKeys: true,
      stringKeys: true,
      prettyErrors: true,
    });
    const [problem] = [...document.errors, ...document.warnings];
    if (problem === undefined) return document.toJS({ maxAliasCount: 0 });
    const [place] = problem.linePos ?? [];
    throw new Failure('request_malformed', 'the body is not YAML that is taken', {
      issues: [
        { code: problem.code, message: problem.code, line: place?.line ?? 1, column: place?.col ?? 1 },
      ],
    });
  } catch (thrown) {
    throw Failure.from(thrown, 'request_malformed', 'the body is not YAML in UTF-8 without anchors');
  }
}

export function toYaml(value: unknown): string {
  return stringify(value as Json, { version: '1.2', schema: 'core', aliasDuplicateObjects: false });
}
