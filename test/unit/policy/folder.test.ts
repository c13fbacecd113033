import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Failure } from '../../../src/core/failure.ts';
import { readPolicyFolder } from '../../../src/policy/folder.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'chancery-policy-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(files: Record<string, string | Uint8Array>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
}

function refusal(): Failure {
  try {
    readPolicyFolder(folder);
  } catch (thrown) {
    if (thrown instanceof Failure) return thrown;
  }
  throw new Error('nothing was refused');
}

describe('readPolicyFolder', () => {
  it('reads modules of every depth, data and smoke cases, and nothing else', () => {
    write({
      'b.rego': 'package b',
      'a/c.rego': 'package c',
      'a_test.rego': 'package t',
      'data.json': '{"roles":{"x":1}}',
      'smoke.json': '[{"input":{},"result":true}]',
      'README.md': 'no',
      '.hidden/x.rego': 'no',
    });
    const source = readPolicyFolder(folder);
    expect(source).toEqual({
      modules: { 'a/c.rego': 'package c', 'a_test.rego': 'package t', 'b.rego': 'package b' },
      data: { roles: { x: 1 } },
      smoke: [{ input: {}, result: true }],
    });
    expect(Object.keys(source.modules)).toEqual(['a/c.rego', 'a_test.rego', 'b.rego']);
  });

  it('reads one file alone', () => {
    write({ 'only.rego': 'package only' });
    expect(readPolicyFolder(join(folder, 'only.rego'))).toEqual({ modules: { 'only.rego': 'package only' } });
  });

  it('names the file that is not JSON, and no path of the machine', () => {
    write({ 'a.rego': 'package a', 'data.json': '{' });
    const failure = refusal();
    expect(failure.issues).toEqual([{ file: 'data.json', message: 'is not JSON' }]);
    expect(failure.detail).not.toContain(folder);
  });

  it('refuses data that is no object', () => {
    write({ 'a.rego': 'package a', 'data.json': '[]' });
    expect(refusal().detail).toBe('data.json is not a JSON object');
  });

  it('refuses a module that is not UTF-8, instead of changing it silently', () => {
    write({ 'a.rego': Uint8Array.from([0x61, 0xff]) });
    expect(refusal().issues[0]?.file).toBe('a.rego');
  });

  it('refuses a folder without Rego, and a path that is not there', () => {
    expect(refusal().detail).toContain('no .rego file');
    expect(() => readPolicyFolder(join(folder, 'absent'))).toThrow('cannot be read');
  });
});
