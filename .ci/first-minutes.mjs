// The first minutes of a newcomer, on clones of this very commit: `npm start`, the two printed curl lines, Ctrl-C, a
// second start, a start on a taken port, and a start on a machine without Python. Prints one line a step.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { delimiter, join } from 'node:path';

const work = process.argv[2];
const PORTS = [10000, 9191, 18000, 8181, 8182, 8183, 8184, 9901];
let failures = 0;

function report(good, title, detail = '') {
  if (!good) failures += 1;
  console.log(`${good ? 'ok' : 'not ok'} - ${title}${good || detail === '' ? '' : `\n${detail.replaceAll(/^/gm, '    ')}`}`);
}

async function step(title, action) {
  try {
    const wrong = await action();
    report(wrong === undefined, title, String(wrong));
  } catch (error) {
    report(false, title, error.stack);
  }
}

function clone(name) {
  const folder = join(work, name);
  execFileSync('git', ['clone', '--quiet', process.cwd(), folder]);
  return folder;
}

/** Starts `npm start` in a clone; `until` resolves when the output holds what is looked for. */
function start(folder, env = process.env) {
  const child = spawn('npm', ['start'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  const ended = once(child, 'close').then(([code, signal]) => signal ?? code);
  let over = false;
  void ended.then(() => (over = true));
  return {
    child,
    ended,
    output: () => output,
    async until(pattern, minutes) {
      const deadline = Date.now() + minutes * 60_000;
      while (!pattern.test(output)) {
        if (over) throw new Error(`ended before ${pattern}:\n${output}`);
        if (Date.now() > deadline) throw new Error(`no ${pattern} within ${minutes} min:\n${output}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
    async interrupt() {
      child.kill('SIGINT');
      const late = setTimeout(() => child.kill('SIGKILL'), 30_000);
      const code = await ended;
      clearTimeout(late);
      return code;
    },
  };
}

const READY = /Press Ctrl-C to stop/;

function curlLines(output) {
  return [...output.matchAll(/^\s*(curl .*?)\s+# expect (\d{3})$/gm)].map(([, command, status]) => ({ command, status }));
}

function portTaken(port) {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port }, () => resolve(true));
    socket.once('error', () => resolve(false)).once('close', () => socket.destroy());
  });
}

/** Processes that still run in a clone (by their working directory). */
function processesIn(folder) {
  return readdirSync('/proc').filter((entry) => {
    if (!/^\d+$/.test(entry)) return false;
    try {
      return readlinkSync(`/proc/${entry}/cwd`).startsWith(folder);
    } catch {
      return false;
    }
  });
}

async function nothingLeft(folder) {
  const left = processesIn(folder);
  if (left.length > 0) return `processes left: ${left.map((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')).join('\n')}`;
  for (const port of PORTS) if (await portTaken(port)) return `port ${port} is still taken`;
  return undefined;
}

async function position(folder) {
  const token = readFileSync(join(folder, '.chancery', 'dev', 'admin-token'), 'utf8').trim();
  const answer = await fetch('http://127.0.0.1:8181/v1/journal?limit=1000', { headers: { authorization: `Bearer ${token}` } });
  const { entries } = await answer.json();
  return entries.at(-1).seq;
}

async function curlsAnswerAsPrinted(output) {
  const lines = curlLines(output);
  if (lines.length !== 2) return `expected two curl lines, got ${lines.length}:\n${output}`;
  if (new Set(lines.map((line) => line.status)).size !== 2) return 'both curl lines expect the same status';
  for (const { command, status } of lines) {
    const got = execFileSync('sh', ['-c', command], { encoding: 'utf8', timeout: 20_000 });
    if (!got.includes(status)) return `${command}\nexpected ${status}, got ${got}`;
  }
  return undefined;
}

const main = clone('newcomer');
const first = start(main);
let before = 0;
await step('a fresh clone starts with `npm start`', () => first.until(READY, 20));
await step('the two printed curl lines answer with the printed statuses', () => curlsAnswerAsPrinted(first.output()));
await step('a change is recorded', async () => {
  before = await position(main);
  return before > 1 ? undefined : `position ${before}`;
});
await step('SIGINT ends it', async () => {
  const code = await first.interrupt();
  return code === 0 || code === 130 || code === 'SIGINT' ? undefined : `ended with ${code}:\n${first.output()}`;
});
await step('no child and no port is left', () => nothingLeft(main));

const second = start(main);
await step('a second start works', () => second.until(READY, 5));
await step('the second start keeps the position', async () => {
  const now = await position(main);
  return now >= before ? undefined : `was ${before}, is ${now}`;
});
await step('the curl lines of the second start answer too', () => curlsAnswerAsPrinted(second.output()));
await second.interrupt();
await step('nothing is left after the second start', () => nothingLeft(main));

await step('a taken port 10000 is named and ends the start non-zero', async () => {
  const holder = createServer().listen(10000, '127.0.0.1');
  await once(holder, 'listening');
  const third = start(main);
  const late = setTimeout(() => third.child.kill('SIGKILL'), 60_000);
  const code = await third.ended;
  clearTimeout(late);
  holder.close();
  if (code === 0 || typeof code === 'string') return `ended with ${code}`;
  return /port 10000|127\.0\.0\.1:10000/.test(third.output()) ? undefined : third.output();
});
await step('nothing is left after the refused start', () => nothingLeft(main));

/** A PATH with everything but Python. */
function pathWithoutPython() {
  const folder = join(work, 'bin');
  mkdirSync(folder);
  for (const part of (process.env.PATH ?? '').split(delimiter)) {
    let names = [];
    try {
      names = readdirSync(part);
    } catch {}
    for (const name of names) {
      if (/^(python|pip)/.test(name)) continue;
      try {
        symlinkSync(join(part, name), join(folder, name));
      } catch {}
    }
  }
  return folder;
}

const bare = clone('no-python');
const withoutEnvoy = start(bare, { ...process.env, PATH: pathWithoutPython() });
await step('without Python it starts all the same', () => withoutEnvoy.until(READY, 20));
await step('without Python it says so in one line', () => {
  const lines = withoutEnvoy.output().split('\n').filter((line) => /python/i.test(line));
  return lines.length === 1 ? undefined : withoutEnvoy.output();
});
await step('without Envoy no curl line is printed', () => (curlLines(withoutEnvoy.output()).length === 0 ? undefined : withoutEnvoy.output()));
await step('without Envoy /readyz answers 200', async () => {
  const { status } = await fetch('http://127.0.0.1:8182/readyz');
  return status === 200 ? undefined : `status ${status}`;
});
await step('without Envoy a gRPC Check is answered', () => {
  const node = join(bare, 'node_modules', '.bin', 'node');
  const check = (path) =>
    JSON.parse(
      execFileSync(node, ['test/support/check-once.ts', '127.0.0.1:9191', path], {
        cwd: bare,
        encoding: 'utf8',
        timeout: 30_000,
      }),
    ).code;
  const codes = [check('/public/hello'), check('/hello')];
  return codes[0] === 0 && codes[1] === 7 ? undefined : `expected codes 0 and 7, got ${codes.join(" and ")}`;
});
await withoutEnvoy.interrupt();
await step('nothing is left after the start without Envoy', () => nothingLeft(bare));

process.exit(failures === 0 ? 0 : 1);
