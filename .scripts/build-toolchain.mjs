/**
 * Builds OPA's compiler as WebAssembly from src/rego/toolchain, with no dependency but Go itself.
 *
 *   node .scripts/build-toolchain.mjs           builds, compresses, writes the artefact, its digests and the licences
 *   node .scripts/build-toolchain.mjs --check   builds into a temporary folder and compares with the digest committed
 *
 * The build is reproducible: same Go, same go.sum, same bytes, whatever the folder.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';

const root = new URL('..', import.meta.url).pathname;
const source = join(root, 'src/rego/toolchain');
const compressedFile = join(root, 'src/rego/toolchain.wasm.br');
const artefactFile = join(root, 'src/rego/artefact.ts');
const licencesFile = join(root, 'THIRD_PARTY_LICENSES');

const goMod = readFileSync(join(source, 'go.mod'), 'utf8');
const goVersion = /^toolchain (go\S+)$/m.exec(goMod)?.[1];
const opaVersion = /open-policy-agent\/opa v(\S+)/.exec(goMod)?.[1];

/** Settings that would change the bytes are set, so that the developer's own do not count. */
const environment = {
  ...process.env,
  GOOS: 'wasip1',
  GOARCH: 'wasm',
  CGO_ENABLED: '0',
  GOFLAGS: '',
  GOWASM: '',
  GOEXPERIMENT: '',
  GOWORK: 'off',
  GOTOOLCHAIN: 'local',
};

function go(...args) {
  const options = { cwd: source, env: environment, encoding: 'utf8', maxBuffer: 1 << 26 };
  return execFileSync('go', args, options).trim();
}

function sha256(bytes) {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function build() {
  const installed = go('env', 'GOVERSION');
  if (installed !== goVersion) throw new Error(`go.mod asks for ${goVersion}, installed is ${installed}`);
  const folder = mkdtempSync(join(tmpdir(), 'chancery-toolchain-'));
  try {
    const output = join(folder, 'toolchain.wasm');
    const flags = ['-buildmode=c-shared', '-trimpath', '-buildvcs=false', '-mod=readonly'];
    go('build', ...flags, '-ldflags=-s -w -buildid=', '-o', output, '.');
    return readFileSync(output);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function compress(wasm) {
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: 11,
    [constants.BROTLI_PARAM_LGWIN]: 24,
    [constants.BROTLI_PARAM_SIZE_HINT]: wasm.length,
  };
  return brotliCompressSync(wasm, { params });
}

function artefactModule(wasm, compressed) {
  return `/** Written by .scripts/build-toolchain.mjs; what toolchain.wasm.br holds. */
export const ARTEFACT = {
  opa: '${opaVersion}',
  go: '${goVersion}',
  /** SHA-256 of the module that Go built */
  wasm: '${sha256(wasm)}',
  wasmBytes: ${String(wasm.length).replaceAll(/\B(?=(\d{3})+$)/g, '_')},
  /** SHA-256 of toolchain.wasm.br */
  compressed: '${sha256(compressed)}',
} as const;
`;
}

const LICENCE_FILE = /^(licen[cs]e|copying|notice|patents)/i;

/** Licence files between a linked package and the root of its module, for what a module has taken in from others. */
function licenceFiles(moduleFolder, packageFolders) {
  const folders = new Set([moduleFolder]);
  for (let folder of packageFolders) {
    for (; folder !== moduleFolder; folder = dirname(folder)) folders.add(folder);
  }
  const files = [...folders].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => LICENCE_FILE.test(name) && !name.endsWith('.go'))
      .map((name) => join(folder, name)),
  );
  return files.sort((a, b) => (a < b ? -1 : 1));
}

/** OPA links C and C++ into each policy.wasm; their licences stand at the head of the files. */
function nativeLicences(opaFolder) {
  const parts = {
    'libmpdec (in policy.wasm)': 'wasm/src/libmpdec/basearith.c',
    'printf (in policy.wasm)': 'wasm/src/lib/printf.c',
    'RE2 (in policy.wasm)': 'wasm/src/re2/re2/re2.h',
  };
  return Object.entries(parts).map(([name, file]) => {
    const text = readFileSync(join(opaFolder, file), 'utf8');
    const comment = /^(\/\*[\s\S]*?\*\/|(?:\/\/.*\n)+)/.exec(text)?.[0] ?? '';
    return { name, texts: [comment.trim()] };
  });
}

function linkedModules() {
  const format = '{{with .Module}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}\t{{.Dir}}';
  const modules = new Map();
  for (const line of go('list', '-deps', '-f', format, '.').split('\n')) {
    const [path, version, folder, packageFolder] = line.split('\t');
    const isStandardLibrary = packageFolder === undefined;
    if (isStandardLibrary || version === '') continue;
    const known = modules.get(path) ?? { name: `${path} ${version}`, folder, packages: [] };
    known.packages.push(packageFolder);
    modules.set(path, known);
  }
  return modules;
}

function licences() {
  const goRoot = go('env', 'GOROOT');
  const modules = linkedModules();
  const sections = [
    {
      name: `Go standard library ${goVersion}`,
      texts: [readFileSync(join(goRoot, 'LICENSE'), 'utf8').trim()],
    },
  ];
  for (const { name, folder, packages } of modules.values()) {
    const texts = licenceFiles(folder, packages).map((file) => {
      const place = relative(folder, file);
      const text = readFileSync(file, 'utf8').trim();
      return place.includes('/') ? `${place}:\n\n${text}` : text;
    });
    if (texts.length === 0) throw new Error(`no licence found for ${name}`);
    sections.push({ name, texts });
  }
  sections.push(...nativeLicences(modules.get('github.com/open-policy-agent/opa').folder));
  const rule = '='.repeat(100);
  const intro =
    'Licences of what src/rego/toolchain.wasm.br links, and of what it links into a policy.wasm.\n';
  const equal = new Map();
  for (const { name, texts } of sections) {
    const text = texts.join('\n\n');
    equal.set(text, [...(equal.get(text) ?? []), name]);
  }
  const blocks = [...equal].map(([text, names]) => `${rule}\n${names.join('\n')}\n${rule}\n\n${text}\n`);
  return [intro, ...blocks].join('\n');
}

function main() {
  const wasm = build();
  if (process.argv.includes('--check')) {
    const committed = readFileSync(artefactFile, 'utf8');
    if (!committed.includes(sha256(wasm)))
      throw new Error(`built ${sha256(wasm)}, which is not the one committed`);
    process.stdout.write(`rebuilt ${sha256(wasm)}: equal\n`);
    return;
  }
  if (existsSync(artefactFile) && readFileSync(artefactFile, 'utf8').includes(sha256(wasm))) {
    process.stdout.write('the artefact is current\n');
  } else {
    const compressed = compress(wasm);
    writeFileSync(compressedFile, compressed);
    writeFileSync(artefactFile, artefactModule(wasm, compressed));
    process.stdout.write(`wrote ${compressed.length} bytes for ${wasm.length}\n`);
  }
  writeFileSync(licencesFile, licences());
}

main();
