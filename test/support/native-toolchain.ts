/**
 * The toolchain's Go code built for this machine: the same answers, faster, and with what only tests ask. Built once
 * for each state of its sources and kept in `.tools`; it needs Go, which users do not.
 */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Answer } from '../../src/rego/messages.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const SOURCE = `${ROOT}src/rego/toolchain`;
const ENVIRONMENT = { ...process.env, GOTOOLCHAIN: 'local', GOFLAGS: '-buildvcs=false', GOWORK: 'off' };

export interface NativeToolchain {
  /** Requests are answered in their order. */
  call(request: object): Promise<Answer>;
  /** @throws Error  when the answer is no result */
  ask<T>(request: object): Promise<T>;
  close(): void;
}

/** Where OPA's module lies, fetched if need be. */
export function opaFolder(): string {
  return goTool('mod', 'download', '-json', 'github.com/open-policy-agent/opa').Dir;
}

function goTool(...args: readonly string[]): { readonly Dir: string } {
  const output = execFileSync('go', args, { cwd: SOURCE, env: ENVIRONMENT, encoding: 'utf8' });
  return JSON.parse(output) as { Dir: string };
}

export function startNativeToolchain(): NativeToolchain {
  const child = spawn(build(), { cwd: '/', env: {}, stdio: 'pipe' });
  const waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void }[] = [];
  createInterface({ input: child.stdout, crlfDelay: Number.POSITIVE_INFINITY }).on('line', (line) =>
    waiting.shift()?.resolve(JSON.parse(line) as Answer),
  );
  const said = lastWords(child);
  child.on('exit', () => {
    for (const each of waiting.splice(0)) each.reject(new Error(`the native toolchain ended: ${said()}`));
  });
  const call = (request: object): Promise<Answer> =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      child.stdin.write(`${JSON.stringify(request)}\n`);
    });
  return {
    call,
    async ask<T>(request: object): Promise<T> {
      const { result, issues, error } = await call(request);
      if (result === undefined) throw new Error(error ?? JSON.stringify(issues));
      return result as T;
    },
    close: () => child.stdin.end(),
  };
}

function lastWords(child: ChildProcessWithoutNullStreams): () => string {
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(0, 2_000);
  });
  return () => words;
}

/** @returns the executable */
function build(): string {
  const hash = createHash('sha256');
  for (const name of readdirSync(SOURCE).sort()) hash.update(name).update(readFileSync(`${SOURCE}/${name}`));
  const folder = `${ROOT}.tools/native-toolchain`;
  const file = `${folder}/${hash.digest('hex').slice(0, 16)}`;
  if (existsSync(file)) return file;
  mkdirSync(folder, { recursive: true });
  const made = `${file}.${process.pid}`;
  execFileSync('go', ['build', '-trimpath', '-o', made, '.'], {
    cwd: SOURCE,
    env: { ...ENVIRONMENT, CGO_ENABLED: '0' },
  });
  renameSync(made, file);
  return file;
}
