/**
 * A policy as an OPA bundle (OPA, "Bundle File Format"), in both directions; what is written is read back as the same
 * revision, and OPA loads it.
 *
 * `*.rego` are the modules, each `data.json` is the data below its folder. What OPA has no place for stands where OPA
 * does not look: smoke cases in `smoke.json`, entrypoints in `.manifest` below `metadata.chancery`. Other files are
 * not read. What would have to be believed is refused, not skipped: signatures (nothing here can verify them) and
 * compiled code (a revision is what is compiled here). Deltas and YAML are left out.
 */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { toCanonicalJson } from '../core/canonical-json.ts';
import type { Digest } from '../core/digest.ts';
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import { parseJson } from '../core/parse-json.ts';
import { type BundleFiles, bundleFailure, packBundle, unpackBundle } from './bundle-archive.ts';
import { MAX_ROOT_LENGTH, MAX_ROOTS, outsideRoots, rootsOf } from './bundle-roots.ts';
import type { CompleteSource, PolicySource } from './source.ts';

const MANIFEST = '.manifest';
const SMOKE = 'smoke.json';

/** What is used of a manifest. */
const manifestSchema = Type.Object({
  roots: Type.Optional(Type.Array(Type.String({ maxLength: MAX_ROOT_LENGTH }), { maxItems: MAX_ROOTS })),
  rego_version: Type.Optional(Type.Integer()),
  file_rego_versions: Type.Optional(Type.Record(Type.String(), Type.Integer())),
  metadata: Type.Optional(
    Type.Object({
      chancery: Type.Optional(Type.Object({ entrypoints: Type.Optional(Type.Array(Type.String())) })),
    }),
  ),
});

const REFUSED: readonly (readonly [name: RegExp, why: string])[] = [
  [/^\.signatures\.json$/, 'is a signature, which cannot be verified here'],
  [/\.wasm$/, 'is compiled code; a revision is compiled here'],
  [/^plan\.json$/, 'is compiled code; a revision is compiled here'],
  [/^patch\.json$/, 'makes it a delta bundle; a whole one is needed'],
  [/(^|\/)data\.ya?ml$/, 'is YAML; write data.json'],
];

/**
 * The form of the source is for `encodeSource` to check.
 *
 * @throws Failure request_malformed, policy_rejected  with the file
 */
export async function readBundle(bytes: Uint8Array): Promise<PolicySource> {
  const files = await unpackBundle(bytes);
  for (const [file] of files) {
    const [, why] = REFUSED.find(([name]) => name.test(file)) ?? [];
    if (why !== undefined) throw bundleFailure(file, why, 'file_refused');
  }
  const manifest = readManifest(files);
  const modules = Object.fromEntries(
    [...files].filter(([file]) => file.endsWith('.rego')).map(([file, text]) => [file, toText(file, text)]),
  );
  const data = readData(files);
  const [outside] = outsideRoots(manifest.roots ?? [''], modules, data);
  if (outside !== undefined)
    throw bundleFailure(outside, 'is outside the roots of the manifest', 'outside_roots');
  const smoke = files.get(SMOKE);
  const entrypoints = manifest.metadata?.chancery?.entrypoints;
  return {
    modules,
    data,
    ...(entrypoints !== undefined && { entrypoints }),
    ...(smoke !== undefined && { smoke: toJson(SMOKE, smoke) as unknown as PolicySource['smoke'] & object }),
  };
}

/** @returns the same bytes for the same revision */
export async function writeBundle(source: CompleteSource, revision: Digest): Promise<Uint8Array> {
  const { modules, data, entrypoints, smoke } = source;
  const manifest = {
    revision,
    roots: rootsOf(modules, data),
    rego_version: 1,
    metadata: { chancery: { entrypoints } },
  };
  const texts = {
    ...modules,
    [MANIFEST]: toCanonicalJson(manifest),
    'data.json': toCanonicalJson(data),
    ...(smoke.length > 0 && { [SMOKE]: toCanonicalJson(smoke) }),
  };
  return packBundle(new Map(Object.entries(texts).map(([file, text]) => [file, Buffer.from(text)])));
}

function readManifest(files: BundleFiles): Static<typeof manifestSchema> {
  const bytes = files.get(MANIFEST);
  const manifest = bytes === undefined ? {} : toJson(MANIFEST, bytes);
  if (!Check(manifestSchema, manifest)) {
    throw bundleFailure(MANIFEST, 'has not the form of a manifest', 'manifest_malformed');
  }
  const versions = [manifest.rego_version ?? 1, ...Object.values(manifest.file_rego_versions ?? {})];
  if (versions.some((version) => version !== 1)) {
    throw bundleFailure(MANIFEST, 'asks for a version of Rego that is not 1', 'rego_version');
  }
  const roots = manifest.roots?.map((root) => root.replace(/^\/|\/$/g, ''));
  return { ...manifest, ...(roots !== undefined && { roots }) };
}

function readData(files: BundleFiles): JsonObject {
  let data: JsonObject = {};
  for (const [file, bytes] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const folder = /^(?:(.*)\/)?data\.json$/.exec(file);
    if (folder === null) continue;
    const value = toJson(file, bytes);
    const path = folder[1]?.split('/') ?? [];
    if (path.includes('__proto__'))
      throw bundleFailure(file, 'is in a folder of a reserved name', 'path_refused');
    if (path.length === 0 && !isJsonObject(value))
      throw bundleFailure(file, 'is not a JSON object', 'not_an_object');
    const placed = path.reduceRight<Json>((inner, name) => ({ [name]: inner }), value);
    data = merge(data, placed as JsonObject, file);
  }
  return data;
}

/** Two files may fill one object, and never one value of it. */
function merge(into: JsonObject, more: JsonObject, file: string): JsonObject {
  const merged = new Map(Object.entries(into));
  for (const [name, value] of Object.entries(more)) {
    const there = merged.get(name);
    if (there !== undefined && !(isJsonObject(there) && isJsonObject(value))) {
      throw bundleFailure(file, `says ${JSON.stringify(name)} a second time`, 'data_conflict');
    }
    merged.set(name, isJsonObject(there) && isJsonObject(value) ? merge(there, value, file) : value);
  }
  return Object.fromEntries(merged);
}

function toJson(file: string, bytes: Uint8Array): Json {
  try {
    const text = toText(file, bytes);
    JSON.parse(text, (name, value: Json) => {
      // An own member for JSON.parse, the prototype for whoever copies it by assignment.
      if (name === '__proto__') throw new SyntaxError('a member __proto__');
      return value;
    });
    return parseJson(text) as Json;
  } catch (cause) {
    throw bundleFailure(file, 'is not JSON that can be read', 'not_json', cause);
  }
}

function toText(file: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw bundleFailure(file, 'is not UTF-8', 'not_utf8', cause);
  }
}
