/** The built-ins that say something else each time: what stays the same, held against OPA's own implementation. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUILTIN_SOURCES } from '../../src/builtins/table.ts';
import { HOST_BUILTINS } from '../../src/policy/builtins.ts';
import { type BuiltinHost, createBuiltinHost } from '../support/builtin-host.ts';
import { type NativeToolchain, startNativeToolchain } from '../support/native-toolchain.ts';
import { startPlainHost } from '../support/plain-host.ts';

const TIMEOUT_MS = 120_000;
const UUID_V4 = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;

let native: NativeToolchain;
let host: BuiltinHost;
beforeAll(() => {
  native = startNativeToolchain();
  host = createBuiltinHost();
}, TIMEOUT_MS);
afterAll(() => native.close());

/** What a compiled rule says in one evaluation; undefined: nothing. */
async function ours(rule: string): Promise<unknown> {
  const { wasm } = await native.ask<{ wasm: string }>({
    do: 'compile',
    modules: { 't.rego': `package t\n\nr := ${rule}\n` },
    builtins: [...BUILTIN_SOURCES.keys()],
    host: HOST_BUILTINS,
    entrypoints: ['t/r'],
  });
  host.begin();
  const module = startPlainHost(Uint8Array.fromBase64(wasm), host.answer, { small: host.small });
  const [, text] = /^\{\{"result": (.*)\}\}$/s.exec(module.evaluate('t/r', '{}')) ?? [];
  return text === undefined ? undefined : JSON.parse(text);
}

/** What OPA says of one call; undefined: nothing. */
async function opas(name: string, ...args: readonly string[]): Promise<unknown> {
  const { text } = await native.ask<{ text?: string }>({ do: 'builtin', name, args, nowNs: host.nowNs });
  return text === undefined ? undefined : JSON.parse(text);
}

describe('`time.now_ns`', () => {
  it('is the time of the evaluation, to the nanosecond, at each call', async () => {
    const now = await opas('time.now_ns');
    expect(now).toBe(Number(host.nowNs));
    expect(await ours('[time.now_ns(), time.now_ns()]')).toEqual([now, now]);
    expect(await ours(`time.now_ns() - ${host.nowNs}`)).toBe(0);
  });
});

describe('`rand.intn`', () => {
  it.each([1, 6, 1_000_000])('is an integer from 0 to below %d', async (limit) => {
    for (const said of [
      await opas('rand.intn', '"dice"', String(limit)),
      await ours(`rand.intn("dice", ${limit})`),
    ]) {
      expect(said).toSatisfy((each) => Number.isInteger(each) && each >= 0 && each < limit);
    }
  });

  it('says the same to the same question within an evaluation, whatever the sign', async () => {
    expect(await ours('[1 | rand.intn("a", 1000000) == rand.intn("a", -1000000)]')).toEqual([1]);
  });

  it.each(['0', '1.0', '-1'])('leaves one answer to %s', async (limit) => {
    expect(await ours(`rand.intn("a", ${limit})`)).toBe(0);
    expect(await opas('rand.intn', '"a"', limit)).toBe(0);
  });

  it.each(['1.5', '1e1'])('is undefined for %s', async (limit) => {
    expect(await opas('rand.intn', '"a"', limit)).toBeUndefined();
    expect(await ours(`[x | some limit in [${limit}]; x := rand.intn("a", limit)]`)).toEqual([]);
  });
});

describe('`uuid.rfc4122`', () => {
  it('is a random UUID', async () => {
    expect(await opas('uuid.rfc4122', '"k"')).toMatch(UUID_V4);
    expect(await ours('uuid.rfc4122("k")')).toMatch(UUID_V4);
  });

  it('is the same for the same key within an evaluation', async () => {
    expect(await ours('[1 | uuid.rfc4122("k") == uuid.rfc4122("k")]')).toEqual([1]);
  });
});

describe('`opa.runtime`', () => {
  it('tells nothing of the host', async () => {
    expect(await opas('opa.runtime')).toEqual({});
    expect(await ours('opa.runtime()')).toEqual({});
  });
});
