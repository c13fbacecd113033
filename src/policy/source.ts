/**
 * What a policy is made of, as people write it. A revision is the digest of its canonical form, in which every
 * member is there.
 */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { toCanonicalJson } from '../core/canonical-json.ts';
import { type Digest, sha256 } from '../core/digest.ts';
import { Failure, type FailureIssue } from '../core/failure.ts';
import type { Json, JsonObject } from '../core/json.ts';
import { parseJson } from '../core/parse-json.ts';
import { schemaErrors } from '../core/schema-errors.ts';

export const DEFAULT_ENTRYPOINTS: readonly string[] = ['envoy/authz/allow'];

const MAX_SOURCE_BYTES = 8_388_608;
const json = (description: string) => Type.Unsafe<Json>({ description });

export const smokeCaseSchema = Type.Object(
  {
    entrypoint: Type.Optional(Type.String({ description: 'default: the first entrypoint' })),
    input: json('any JSON'),
    result: Type.Optional(json('what the entrypoint must say; absent: undefined')),
  },
  { additionalProperties: false },
);
export type SmokeCase = Static<typeof smokeCaseSchema>;

export const policySourceSchema = Type.Object(
  {
    modules: Type.Record(
      Type.String({
        pattern: '^(?=.{1,253}$)[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*\\.rego$',
      }),
      Type.String({ maxLength: 1_048_576 }),
      {
        additionalProperties: false,
        minProperties: 1,
        maxProperties: 512,
        description: 'file name to Rego v1 text; `*_test.rego` is run, and not compiled in',
      },
    ),
    data: Type.Optional(
      Type.Unsafe<JsonObject>({
        type: 'object',
        additionalProperties: true,
        description: 'static data: what Rego reads below `data`',
      }),
    ),
    entrypoints: Type.Optional(
      Type.Array(Type.String({ pattern: '^[^/\\s]+(/[^/\\s]+)*$', maxLength: 256 }), {
        minItems: 1,
        maxItems: 32,
        uniqueItems: true,
        description: 'rules that can be asked, as slash paths below `data`; default envoy/authz/allow',
      }),
    ),
    smoke: Type.Optional(
      Type.Array(smokeCaseSchema, { maxItems: 256, description: 'evaluated before a revision is published' }),
    ),
  },
  { additionalProperties: false },
);
export type PolicySource = Static<typeof policySourceSchema>;

/** A source with every member. */
export type CompleteSource = Required<PolicySource>;

export interface EncodedSource {
  readonly source: CompleteSource;
  /** RFC 8785 */
  readonly bytes: Uint8Array;
  readonly revision: Digest;
}

/** @throws Failure policy_rejected  with pointers to what has not the form of a source */
export function encodeSource(value: unknown): EncodedSource {
  if (!Check(policySourceSchema, value)) throw notASource(value);
  const source: CompleteSource = {
    modules: value.modules,
    data: value.data ?? {},
    entrypoints: value.entrypoints ?? [...DEFAULT_ENTRYPOINTS],
    smoke: value.smoke ?? [],
  };
  const bytes = toBytes(source);
  if (bytes.length > MAX_SOURCE_BYTES) {
    throw new Failure('policy_rejected', `The policy is larger than ${MAX_SOURCE_BYTES} bytes`);
  }
  return { source, bytes, revision: sha256(bytes) };
}

/** @throws Failure store_mismatch  when the bytes are not a source as `encodeSource` writes it */
export function decodeSource(bytes: Uint8Array): CompleteSource {
  const value = parseJson(Buffer.from(bytes).toString());
  if (!Check(Type.Required(policySourceSchema), value)) {
    throw new Failure('store_mismatch', 'A stored policy source has an unexpected form');
  }
  return value;
}

function toBytes(source: CompleteSource): Uint8Array {
  try {
    return Buffer.from(toCanonicalJson(source));
  } catch (cause) {
    throw new Failure('policy_rejected', 'The policy has no canonical form: a lone surrogate, or too deep', {
      cause,
    });
  }
}

function notASource(value: unknown): Failure {
  const issues = schemaErrors(policySourceSchema, value).map(
    ({ instancePath, keyword, message }): FailureIssue => ({ pointer: instancePath, code: keyword, message }),
  );
  return new Failure('policy_rejected', 'The policy has not the form of a policy', { issues });
}
