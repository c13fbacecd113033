/** A policy as files: `*.rego` in any depth, `data.json`, `smoke.json`, or one `.rego` file alone. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Failure } from '../core/failure.ts';
import { isJsonObject, type Json } from '../core/json.ts';
import { parseJson } from '../core/parse-json.ts';
import type { PolicySource, SmokeCase } from './source.ts';

const DATA_FILE = 'data.json';
const SMOKE_FILE = 'smoke.json';

/**
 * Module names are relative to the folder, with `/`, in alphabetical order; whatever begins with a dot is left out.
 *
 * @param path  a folder, or one `.rego` file
 * @throws Failure policy_rejected  nothing there to read, or a file that is not JSON
 */
export function readPolicyFolder(path: string): PolicySource {
  if (!isFolder(path)) return { modules: { [basename(path)]: readText(path, basename(path)) } };
  const files = listFiles(path, '');
  const names = files.filter((name) => name.endsWith('.rego'));
  if (names.length === 0) throw new Failure('policy_rejected', `There is no .rego file in ${basename(path)}`);
  const modules = Object.fromEntries(names.map((name) => [name, readText(join(path, name), name)]));
  return {
    modules,
    ...(files.includes(DATA_FILE) ? { data: readData(path) } : {}),
    ...(files.includes(SMOKE_FILE) ? { smoke: readJson(path, SMOKE_FILE) as unknown as SmokeCase[] } : {}),
  };
}

function listFiles(root: string, below: string): readonly string[] {
  return readdirSync(join(root, below), { withFileTypes: true })
    .filter(({ name }) => !name.startsWith('.'))
    .flatMap((entry) => {
      const name = below === '' ? entry.name : `${below}/${entry.name}`;
      return entry.isDirectory() ? listFiles(root, name) : [name];
    })
    .sort();
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw new Failure('policy_rejected', `${basename(path)} cannot be read`, { cause });
  }
}

function readText(path: string, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path));
  } catch (cause) {
    throw fileFailure(name, 'cannot be read as UTF-8', cause);
  }
}

function readJson(folder: string, name: string): Json {
  const text = readText(join(folder, name), name);
  try {
    return parseJson(text) as Json;
  } catch (cause) {
    throw fileFailure(name, 'is not JSON', cause);
  }
}

function readData(folder: string): PolicySource['data'] & object {
  const data = readJson(folder, DATA_FILE);
  if (!isJsonObject(data)) throw fileFailure(DATA_FILE, 'is not a JSON object');
  return data;
}

function fileFailure(file: string, message: string, cause?: unknown): Failure {
  return new Failure('policy_rejected', `${file} ${message}`, { cause, issues: [{ file, message }] });
}
