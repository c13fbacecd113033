// Writes src/client/openapi.json from the routes of the program, and src/client/schema.d.ts from that document.
// `--check` writes nothing, and fails when what is there is not what would be written.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeApi } from '../src/admin/openapi-document.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const generator = join(root, '.scripts/openapi/node_modules/.bin/openapi-typescript');
const scratch = mkdtempSync(join(tmpdir(), 'chancery-openapi-'));

try {
  const document = `${JSON.stringify(sorted(await describeApi()), null, 2)}\n`;
  const documentFile = join(scratch, 'openapi.json');
  const schemaFile = join(scratch, 'schema.d.ts');
  writeFileSync(documentFile, document);
  execFileSync(generator, [documentFile, '--output', schemaFile, '--alphabetize'], { stdio: 'pipe' });
  settle('src/client/openapi.json', document);
  settle('src/client/schema.d.ts', readFileSync(schemaFile, 'utf8'));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

function settle(path, content) {
  const file = join(root, path);
  if (!process.argv.includes('--check')) return writeFileSync(file, content);
  if (readFileSync(file, 'utf8') === content) return;
  process.stderr.write(`${path} is not what the routes say: run node .scripts/generate-client.mjs\n`);
  process.exitCode = 1;
}

// The order of members says nothing in JSON, and must not look like a change.
function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(members.map(([name, member]) => [name, sorted(member)]));
}
