import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { run } from '../../src/cli/main.ts';
import { type AdminHarness, startAdmin } from '../support/admin-server.ts';

let admin: AdminHarness;
let folder: string;
let said: string[] = [];
beforeAll(async () => {
  admin = await startAdmin();
  folder = await mkdtemp(join(tmpdir(), 'chancery-config-'));
  await writeFile(join(folder, 'token'), `${admin.token}\n`);
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      said.push(String(text).trimEnd());
      return true;
    });
  }
});
afterEach(() => {
  said = [];
});
afterAll(async () => {
  vi.restoreAllMocks();
  await admin?.close();
  await rm(folder, { recursive: true, force: true });
});

const command = async (action: string, text: string, ...more: readonly string[]) => {
  const file = join(folder, 'registry.yaml');
  await writeFile(file, text);
  said = [];
  const flags = ['--url', admin.url, '--token-file', join(folder, 'token'), ...more];
  return { code: await run(['config', action, file, ...flags]), said };
};

const DOCUMENT = `members:
  GOV/A: {state: registered}
groups:
  g: {members: []}
`;

it('chancery config says what a document changes, makes it so, and then finds nothing to change', async () => {
  const changes = ['+ member GOV/A', '+ group g'];
  expect(await command('plan', DOCUMENT)).toEqual({ code: 0, said: [...changes, 'nothing was changed'] });
  const before = await admin.length();
  const applied = await command('apply', DOCUMENT);
  expect(applied).toEqual({ code: 0, said: [...changes, `applied: 1.${before + 2}`] });
  expect(await command('apply', DOCUMENT)).toEqual({ code: 0, said: ['nothing to change'] });
  const gone = await command('plan', 'members:\n  GOV/A: {state: suspended}\n');
  expect(gone.said).toEqual(['~ member GOV/A', '- group g', 'nothing was changed']);
});

it('chancery config exits with 1 for what is refused, and says where and why', async () => {
  const { code, said: lines } = await command('apply', 'members:\n  GOV/B: {state: disabled}\n');
  expect(code).toBe(1);
  expect(lines.join('\n')).toContain('/members/GOV~1B/notice is required when state is "disabled"');
  expect((await command('apply', DOCUMENT, '--if-match', '"other"')).code).toBe(1);
  expect((await command('apply', 'a: [')).code).toBe(1);
  expect((await command('apply', DOCUMENT, '--ca-file', join(folder, 'none'))).code).toBe(2);
});
