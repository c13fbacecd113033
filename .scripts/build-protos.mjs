/**
 * Builds `.generated/envoy.binpb`: one descriptor set with the Envoy messages that we load.
 *
 * The roots of `protos/roots.txt` and what they import are copied from the package `@grpc/grpc-js-xds`, compiled
 * by buf, stripped of what nobody reads at run time (options, annotations, comments), and completed with the newer
 * fields of `protos/overlay`. Needs only node_modules; does nothing when its inputs are unchanged.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PACKAGED = join(ROOT, 'node_modules/@grpc/grpc-js-xds');
const INCLUDE_DIRS = ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'].map((dir) =>
  join(PACKAGED, 'deps', dir),
);
const OVERLAY = join(ROOT, 'protos/overlay');
const OUTPUT = join(ROOT, '.generated/envoy.binpb');
const STAMP = `${OUTPUT}.inputs`;
/** Only options are declared there, and options are stripped. */
const ANNOTATIONS =
  /^(validate\/|udpa\/annotations\/|xds\/annotations\/|envoy\/annotations\/|google\/protobuf\/descriptor\.proto)/;

const roots = readFileSync(join(ROOT, 'protos/roots.txt'), 'utf8')
  .split('\n')
  .map((line) => line.trim())
  .filter((line) => line !== '' && !line.startsWith('#'));
const overlays = readdirSync(OVERLAY, { recursive: true })
  .map((path) => path.replaceAll('\\', '/'))
  .filter((path) => path.endsWith('.proto'))
  .sort();

const inputs = hashInputs();
if (!existsSync(OUTPUT) || !existsSync(STAMP) || readFileSync(STAMP, 'utf8') !== inputs) await build();

function hashInputs() {
  const hash = createHash('sha256');
  for (const path of [
    fileURLToPath(import.meta.url),
    join(PACKAGED, 'package.json'),
    join(ROOT, 'node_modules/@bufbuild/buf/package.json'),
    join(ROOT, 'node_modules/@bufbuild/protobuf/package.json'),
    join(ROOT, 'protos/roots.txt'),
    ...overlays.map((path) => join(OVERLAY, path)),
  ]) {
    hash.update(readFileSync(path)).update('\0');
  }
  return hash.digest('hex');
}

async function build() {
  const { create, fromBinary, toBinary } = await import('@bufbuild/protobuf');
  const { FileDescriptorSetSchema, MessageOptionsSchema } = await import('@bufbuild/protobuf/wkt');
  mkdirSync(dirname(OUTPUT), { recursive: true });
  const stage = mkdtempSync(join(dirname(OUTPUT), 'protos-'));
  try {
    for (const [path, text] of closure(roots)) {
      mkdirSync(dirname(join(stage, 'packaged', path)), { recursive: true });
      writeFileSync(join(stage, 'packaged', path), text);
    }
    cpSync(OVERLAY, join(stage, 'overlay'), { recursive: true });
    const read = (dir) => fromBinary(FileDescriptorSetSchema, runBuf(join(stage, dir)));
    const set = read('packaged');
    for (const file of read('overlay').file) {
      for (const message of file.messageType) addFields(set, file.package, message);
    }
    set.file = set.file.filter((file) => !ANNOTATIONS.test(file.name)).map(strip);
    writeFileSync(`${OUTPUT}.new`, toBinary(FileDescriptorSetSchema, set));
    renameSync(`${OUTPUT}.new`, OUTPUT);
    writeFileSync(STAMP, inputs);
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }

  /** Options carry nothing that is read at run time, but for the mark of a map entry. */
  function strip(file) {
    const kept = new Set();
    file.dependency.forEach((name, index) => {
      if (!ANNOTATIONS.test(name)) kept.add(index);
    });
    const renumbered = new Map([...kept].map((index, place) => [index, place]));
    file.publicDependency = file.publicDependency.filter((i) => kept.has(i)).map((i) => renumbered.get(i));
    file.weakDependency = [];
    file.dependency = file.dependency.filter((_, index) => kept.has(index));
    file.options = undefined;
    file.sourceCodeInfo = undefined;
    file.service = [];
    file.extension = [];
    file.messageType.forEach(stripMessage);
    file.enumType.forEach(stripEnum);
    return file;
  }
  function stripMessage(message) {
    message.options = message.options?.mapEntry
      ? create(MessageOptionsSchema, { mapEntry: true })
      : undefined;
    for (const member of [...message.field, ...message.oneofDecl]) member.options = undefined;
    message.nestedType.forEach(stripMessage);
    message.enumType.forEach(stripEnum);
  }
  function stripEnum(type) {
    type.options = undefined;
    for (const value of type.value) value.options = undefined;
  }

  function addFields(set, packageName, overlay) {
    const target = set.file
      .filter((file) => file.package === packageName)
      .flatMap((file) => file.messageType)
      .find((message) => message.name === overlay.name);
    if (target === undefined) throw new Error(`protos/overlay: no message ${packageName}.${overlay.name}`);
    if (overlay.nestedType.length + overlay.enumType.length + overlay.oneofDecl.length > 0) {
      throw new Error(`protos/overlay: ${packageName}.${overlay.name} may only add plain fields`);
    }
    const taken = new Set(target.field.flatMap((field) => [field.number, field.name]));
    for (const field of overlay.field) {
      if (taken.has(field.number) || taken.has(field.name)) {
        throw new Error(`protos/overlay: ${overlay.name}.${field.name} = ${field.number} is there already`);
      }
      target.field.push(field);
    }
  }
}

/** The roots and all they import, as text; `google/protobuf/*` is buf's own. */
function closure(paths) {
  const found = new Map();
  const visit = (path) => {
    if (found.has(path) || path.startsWith('google/protobuf/')) return;
    const dir = INCLUDE_DIRS.find((candidate) => existsSync(join(candidate, path)));
    if (dir === undefined) throw new Error(`protos: ${path} is not in @grpc/grpc-js-xds`);
    const text = readFileSync(join(dir, path), 'utf8');
    found.set(path, path === 'validate/validate.proto' ? withIgnoreEmpty(text) : text);
    for (const [, imported] of text.matchAll(/^import\s+(?:public\s+)?"([^"]+)";/gm)) visit(imported);
  };
  paths.forEach(visit);
  return found;
}

/** The packaged validate.proto is older than its use: it lacks the rule `ignore_empty`. */
function withIgnoreEmpty(text) {
  return text.replaceAll(/^message (\w+)Rules \{/gm, (line, kind) =>
    kind === 'Field' ? line : `${line}\n    optional bool ignore_empty = 1000;`,
  );
}

function runBuf(dir) {
  const require = createRequire(import.meta.url);
  const buf = require.resolve('@bufbuild/buf/bin/buf');
  const args = [
    'build',
    '.',
    '--config',
    '{"version":"v2"}',
    '--exclude-source-info',
    '--as-file-descriptor-set',
  ];
  return execFileSync(process.execPath, [buf, ...args, '-o', '-#format=binpb'], {
    cwd: dir,
    maxBuffer: 64 * 1024 * 1024,
    timeout: 60_000,
    env: { PATH: process.env.PATH, HOME: dir },
  });
}
