/** A message of the packaged `.proto` files, compiled by buf: the schema of a decoder that is not ours. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createFileRegistry, type DescMessage, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { PROTO_INCLUDE_DIRS } from './check-client.ts';

/**
 * @param file  for example `envoy/service/auth/v3/external_auth.proto`
 * @param message  full name
 */
export function compileOracle(file: string, message: string): DescMessage {
  const stage = mkdtempSync(join(tmpdir(), 'oracle-'));
  try {
    for (const [path, text] of withImports(file, new Map())) {
      mkdirSync(dirname(join(stage, path)), { recursive: true });
      writeFileSync(join(stage, path), text);
    }
    const buf = createRequire(import.meta.url).resolve('@bufbuild/buf/bin/buf');
    const args = [
      'build',
      '.',
      '--config',
      '{"version":"v2"}',
      '--as-file-descriptor-set',
      '-o',
      '-#format=binpb',
    ];
    const output = execFileSync(process.execPath, [buf, ...args], {
      cwd: stage,
      maxBuffer: 64 * 1024 * 1024,
      timeout: 60_000,
    });
    const found = createFileRegistry(fromBinary(FileDescriptorSetSchema, output)).getMessage(message);
    if (found === undefined) throw new Error(`${file} has no ${message}`);
    return found;
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

function withImports(path: string, found: Map<string, string>): Map<string, string> {
  if (found.has(path) || path.startsWith('google/protobuf/')) return found;
  const dir = PROTO_INCLUDE_DIRS.find((candidate) => existsSync(join(candidate, path)));
  if (dir === undefined) throw new Error(`${path} is not packaged`);
  const text = readFileSync(join(dir, path), 'utf8');
  // the packaged validate.proto is older than its use: it lacks one rule
  const patched = text.replaceAll(
    /^message (?!Field)\w+Rules \{/gm,
    '$&\n optional bool ignore_empty = 1000;',
  );
  found.set(path, path === 'validate/validate.proto' ? patched : text);
  for (const [, imported = ''] of text.matchAll(/^import\s+(?:public\s+)?"([^"]+)";/gm))
    withImports(imported, found);
  return found;
}
