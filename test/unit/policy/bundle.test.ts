import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { packTar, type TarEntry } from 'modern-tar';
import { describe, expect, it } from 'vitest';
import { Failure } from '../../../src/core/failure.ts';
import { readBundle, writeBundle } from '../../../src/policy/bundle.ts';
import { unpackBundle } from '../../../src/policy/bundle-archive.ts';
import { outsideRoots, rootsOf } from '../../../src/policy/bundle-roots.ts';
import { type CompleteSource, encodeSource } from '../../../src/policy/source.ts';

const MODULE = 'package envoy.authz\n\nallow := true\n';
const REVISION = `sha256:${'0'.repeat(64)}` as const;

async function aBundle(files: Readonly<Record<string, string>>, more: readonly TarEntry[] = []) {
  const entries: TarEntry[] = Object.entries(files).map(([name, text]) => ({
    header: { name, size: Buffer.byteLength(text), type: 'file' },
    body: text,
  }));
  return gzipSync(await packTar([...entries, ...more]));
}

async function refusalOf(bytes: Uint8Array): Promise<Failure> {
  const outcome: unknown = await readBundle(bytes).catch((thrown: unknown) => thrown);
  if (outcome instanceof Failure) return outcome;
  throw new Error(`not refused: ${JSON.stringify(outcome)}`);
}

const segment = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_-]{0,40}$/);
const path = fc.array(segment, { minLength: 1, maxLength: 5 }).map((parts) => `${parts.join('/')}.rego`);
const json = fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown);
const source = fc.record({
  modules: fc.dictionary(path, fc.string({ unit: 'grapheme' }), {
    minKeys: 1,
    maxKeys: 5,
    noNullPrototype: true,
  }),
  data: fc.dictionary(segment, json, { maxKeys: 4, noNullPrototype: true }),
  entrypoints: fc.uniqueArray(fc.constantFrom('a/b', 'envoy/authz/allow', 'c'), { minLength: 1 }),
  smoke: fc.array(fc.record({ input: json, result: json }), { maxLength: 3 }),
});

describe('a bundle', () => {
  it('is read back as the revision that was written, and written as the same bytes', async () => {
    await fc.assert(
      fc.asyncProperty(source, async (value) => {
        fc.pre(!JSON.stringify(value).includes('__proto__'));
        const encoded = encodeSource(value);
        const bytes = await writeBundle(encoded.source, encoded.revision);
        expect(encodeSource(await readBundle(bytes)).revision).toBe(encoded.revision);
        expect(await writeBundle(encoded.source, encoded.revision)).toEqual(bytes);
      }),
      { numRuns: 50 },
    );
  });

  it('holds a manifest with the revision and the roots that its packages and data have', async () => {
    const whole: CompleteSource = {
      modules: { 'a.rego': MODULE, 'a_test.rego': 'package envoy.authz_test\n' },
      data: { limits: { a: 1 } },
      entrypoints: ['envoy/authz/allow'],
      smoke: [],
    };
    const files = await unpackBundle(await writeBundle(whole, REVISION));
    expect([...files.keys()]).toEqual(['.manifest', 'a.rego', 'a_test.rego', 'data.json']);
    expect(JSON.parse(Buffer.from(files.get('.manifest') ?? []).toString())).toEqual({
      revision: REVISION,
      roots: ['envoy/authz', 'envoy/authz_test', 'limits'],
      rego_version: 1,
      metadata: { chancery: { entrypoints: ['envoy/authz/allow'] } },
    });
  });

  it('of opa build or tar -C is read, with data in folders', async () => {
    for (const start of ['/', './', '']) {
      const bytes = await aBundle({
        [`${start}.manifest`]: '{"revision":"r","roots":[""]}',
        [`${start}data.json`]: '{"a":{"x":1}}',
        [`${start}a/b/data.json`]: '{"y":[2]}',
        [`${start}lib/rules.rego`]: MODULE,
        [`${start}README.md`]: 'read me',
      });
      expect(await readBundle(bytes)).toEqual({
        modules: { 'lib/rules.rego': MODULE },
        data: { a: { x: 1, b: { y: [2] } } },
      });
    }
  });

  it.each([
    ['../a.rego', 'path_refused'],
    ['a/../../b.rego', 'path_refused'],
    ['//etc/passwd', 'path_refused'],
    ['a//b.rego', 'path_refused'],
    ['a\\b.rego', 'path_refused'],
    ['a\u0001.rego', 'path_refused'],
    [`${'a/'.repeat(130)}b.rego`, 'path_refused'],
    ['__proto__/data.json', 'path_refused'],
    ['.signatures.json', 'file_refused'],
    ['policy.wasm', 'file_refused'],
    ['plan.json', 'file_refused'],
    ['patch.json', 'file_refused'],
    ['a/data.yaml', 'file_refused'],
  ])('that holds %s is refused with its name', async (name, code) => {
    const refusal = await refusalOf(await aBundle({ 'a.rego': MODULE, [name]: '{}' }));
    expect(refusal.code).toBe('policy_rejected');
    expect(refusal.issues[0]).toMatchObject({ file: name.slice(0, 253), code });
  });

  it.each(['symlink', 'link', 'character-device', 'block-device', 'fifo'] as const)(
    'that holds a %s is refused',
    async (type) => {
      const bytes = await aBundle({ 'a.rego': MODULE }, [
        { header: { name: 'data.json', size: 0, type, linkname: '/etc/passwd' } },
      ]);
      expect((await refusalOf(bytes)).issues[0]).toMatchObject({ file: 'data.json', code: 'not_a_file' });
    },
  );

  it('that holds one path twice is refused, however it is spelt', async () => {
    const twin: TarEntry = { header: { name: '/a.rego', size: 1, type: 'file' }, body: 'b' };
    const refusal = await refusalOf(await aBundle({ 'a.rego': MODULE }, [twin]));
    expect(refusal.issues[0]).toMatchObject({ file: 'a.rego', code: 'duplicate' });
  });

  it.each([
    [{ 'data.json': '[]' }, 'data.json', 'not_an_object'],
    [{ 'data.json': '{"a":' }, 'data.json', 'not_json'],
    [{ 'data.json': '{"__proto__":{}}' }, 'data.json', 'not_json'],
    [{ 'data.json': `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}` }, 'data.json', 'not_json'],
    [{ 'data.json': '{"a":1}', 'a/data.json': '{}' }, 'data.json', 'data_conflict'],
    [{ '.manifest': '{"roots":"all"}' }, '.manifest', 'manifest_malformed'],
    [{ '.manifest': '{"rego_version":0}' }, '.manifest', 'rego_version'],
    [{ '.manifest': '{"file_rego_versions":{"a.rego":0}}' }, '.manifest', 'rego_version'],
    [{ '.manifest': '{"roots":["other"]}' }, 'a.rego', 'outside_roots'],
    [{ '.manifest': '{"roots":["envoy"]}', 'data.json': '{"a":1}' }, 'data/a', 'outside_roots'],
    [
      { '.manifest': JSON.stringify({ roots: Array.from({ length: 1_025 }, (_, n) => `r${n}`) }) },
      '.manifest',
      'manifest_malformed',
    ],
    [
      { '.manifest': JSON.stringify({ roots: [`envoy/${'a'.repeat(250)}`] }) },
      '.manifest',
      'manifest_malformed',
    ],
    [{ 'smoke.json': 'no' }, 'smoke.json', 'not_json'],
  ])('with %j is refused, naming the file', async (files, file, code) => {
    const refusal = await refusalOf(await aBundle({ 'a.rego': MODULE, ...files }));
    expect(refusal.issues[0]).toMatchObject({ file, code });
  });

  it('that unpacks to more than its limit, or has too many entries, is refused before it is kept', async () => {
    const bomb = gzipSync(Buffer.alloc(17 * 1_048_576));
    expect(bomb.length).toBeLessThan(20_000);
    expect((await refusalOf(bomb)).detail).toContain('unpacks to more than');
    const many = Object.fromEntries(Array.from({ length: 2_049 }, (_, n) => [`f${n}`, '']));
    expect((await refusalOf(await aBundle(many))).detail).toContain('more than 2048 entries');
  });

  it('that is no gzip, no tar or not whole is a malformed request, whatever is cut off', async () => {
    const bytes = await aBundle({ 'a.rego': MODULE });
    const tar = await packTar([{ header: { name: 'a.rego', size: 3, type: 'file' }, body: 'abc' }]);
    const broken = [Buffer.from('no gzip'), gzipSync(Buffer.from('no tar')), gzipSync(tar.subarray(0, 700))];
    for (let cut = 1; cut < bytes.length; cut += 7) broken.push(bytes.subarray(0, -cut));
    for (const each of broken) expect((await refusalOf(each)).code).toBe('request_malformed');
  });
});

/** An archive of one file, with such records before it. */
function withRecords(records: string, size = records.length.toString(8)): Uint8Array {
  const header = (type: string, octalSize: string, name: string): Buffer => {
    const block = Buffer.alloc(512);
    block.write(name);
    for (const at of [100, 108, 116, 136]) block.write('0000000', at);
    block.write(octalSize.padStart(11, '0'), 124);
    block.write(`${' '.repeat(8)}${type}`, 148);
    block.write('ustar\u000000', 257);
    const sum = block.reduce((all, byte) => all + byte, 0);
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return block;
  };
  const whole = Buffer.alloc(Math.ceil(records.length / 512) * 512);
  whole.write(records, 'latin1');
  const blocks = [header('x', size, 'records'), whole, header('0', '0', 'a.rego'), Buffer.alloc(1024)];
  return gzipSync(Buffer.concat(blocks));
}

describe('the pax records of a bundle', () => {
  it('name its files', async () => {
    const { modules } = await readBundle(withRecords('15 path=b.rego\n18 comment=no one\n'));
    expect(modules).toEqual({ 'b.rego': '' });
  });

  it.each([
    ['say that they are shorter than they are', `${'1\t'.repeat(10_000)} `],
    ['are longer than the archive says', '99 path=b.rego\n'],
    ['end in nothing', '15 path=b.rego '],
    ['have no length', 'path=b.rego\n'],
    ['are too many', '15 path=b.rego\n'.repeat(5_000)],
  ])('are refused when they %s, before anybody reads them', async (_, records) => {
    expect((await refusalOf(withRecords(records))).detail).toContain('pax records that are not whole');
  });

  it('are found however their size is written', async () => {
    const records = `${'1\t'.repeat(10_000)} `;
    const [first = '', ...rest] = records.length.toString(8).padStart(10, '0');
    const spaced = withRecords(records, `${first} ${rest.join('')}`);
    expect((await refusalOf(spaced)).detail).toContain('pax records that are not whole');
  });
});

describe('the roots of a bundle', () => {
  it('are everything where they would be too many to compare, or longer than any path', () => {
    const names = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`n${n}`, 0]));
    expect(rootsOf({}, names(1_024))).toHaveLength(1_024);
    expect(rootsOf({}, names(1_025))).toEqual(['']);
    expect(rootsOf({ 'a.rego': `package ${'a.'.repeat(200)}b\n` }, {})).toEqual(['']);
  });

  it('are the packages, quoted or not, without what lies below another', () => {
    const modules = {
      'a.rego': '# comment\n\npackage a.b # here\n',
      'b.rego': 'package a.b.c\n',
      'c.rego': 'package x["y-z"].w\n',
    };
    expect(rootsOf(modules, { a1: 1 })).toEqual(['a/b', 'a1', 'x/y-z/w']);
  });

  it('are everything where a package cannot be read without a compiler', () => {
    expect(rootsOf({ 'a.rego': 'package a["b\\u0041"]\n' }, {})).toEqual(['']);
    expect(rootsOf({ 'a.rego': MODULE }, { 'a/b': 1 })).toEqual(['']);
  });

  it('cover what is below them, and nothing that only begins alike', () => {
    expect(outsideRoots(['envoy'], { 'a.rego': MODULE }, { envoy: { x: 1 } })).toEqual([]);
    expect(outsideRoots(['env'], { 'a.rego': MODULE }, { envy: 1 })).toEqual(['a.rego', 'data/envy']);
    expect(outsideRoots(['envoy', 'a/b'], { 'a.rego': MODULE }, { a: { b: {}, c: 1 } })).toEqual([
      'data/a/c',
    ]);
    expect(outsideRoots(['envoy', 'a/b', 'a/b/c'], {}, { a: { b: { c: 1, d: 1 } } })).toEqual([]);
    expect(outsideRoots(['', 'a/b'], { 'a.rego': MODULE }, { z: 1 })).toEqual([]);
  });
});
