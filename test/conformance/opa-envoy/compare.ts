/**
 * `npm run compare`: asks a running opa-envoy-plugin the table of the contract, and says what it answers otherwise than
 * recorded; with `--record` its answers are what is recorded from then on.
 *
 * ```sh
 * npm run compare -- --policies FOLDER --group plain          # what the plugin is to be started with, and how
 * npm run compare -- --peer 127.0.0.1:9191 --group plain      # each group is a start of its own
 * npm run compare -- --peer 127.0.0.1:9191 --group plain --record --version 'v1.19.1-envoy, OPA 1.19.1'
 * ```
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { createCheckClient } from '../../support/check-client.ts';
import type { Answer } from './answer.ts';
import { askAll } from './ask.ts';
import type { ContractCase, Group } from './case.ts';
import { GROUPS, writeDescriptorSet, writePolicies } from './groups.ts';
import { RECORDED_FILE, type Recorded, readRecorded } from './recorded.ts';
import { TABLE } from './table.ts';

const { values: options } = parseArgs({
  options: {
    peer: { type: 'string' },
    policies: { type: 'string' },
    group: { type: 'string', default: 'plain' },
    record: { type: 'boolean', default: false },
    version: { type: 'string' },
    /** a module that exports another `TABLE` */
    table: { type: 'string' },
  },
});

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}

const group = options.group as Group;
if (!(group in GROUPS)) fail(`--group is one of ${Object.keys(GROUPS).join(', ')}`);
const table =
  options.table === undefined
    ? TABLE
    : ((await import(options.table)) as { readonly TABLE: readonly ContractCase[] }).TABLE;
const cases = table.filter((each) => each.group === group);

if (options.policies !== undefined) prepare(options.policies);
else if (options.peer !== undefined) await compare(options.peer);
else fail('--peer HOST:PORT, or --policies FOLDER');

function prepare(folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeDescriptorSet(folder);
  writePolicies(cases, `${folder}/policies`);
  const set = ['path=envoy/authz/allow', 'addr=127.0.0.1:9191', ...GROUPS[group].peer('orders.binpb')];
  const flags = set.map((assignment) => `  --set plugins.envoy_ext_authz_grpc.${assignment}`);
  process.stdout.write(
    `${['run --server --addr 127.0.0.1:8281 --skip-version-check', ...flags].join(' \\\n')} \\\n`,
  );
  process.stdout.write(`  policies\n\nto be started in ${folder}: an error text names its files\n`);
}

async function compare(peer: string): Promise<void> {
  const client = createCheckClient(peer);
  const answers = await askAll(client, cases);
  client.close();
  const before = existsSync(RECORDED_FILE) ? readRecorded() : undefined;
  const changed = cases.filter(({ id }) => !isDeepStrictEqual(before?.answers[id], answers[id]));
  for (const { id } of changed) process.stdout.write(`${id}\n  ${JSON.stringify(answers[id])}\n`);
  process.stdout.write(
    `${cases.length} cases of group ${group}, ${changed.length} answered otherwise than recorded\n`,
  );
  if (options.record) record(before, answers);
  else if (changed.length > 0) process.exitCode = 1;
}

function record(before: Recorded | undefined, answers: Readonly<Record<string, Answer>>): void {
  if (options.version === undefined) fail('--record needs --version: which build of the plugin answered');
  const all = { ...before?.answers, ...answers };
  const kept = table.flatMap(({ id }) => (all[id] === undefined ? [] : [[id, all[id]] as const]));
  const recorded: Recorded = {
    peer: options.version,
    recorded: new Date().toISOString().slice(0, 10),
    answers: Object.fromEntries(kept),
  };
  const lines = Object.entries(recorded.answers).map(
    ([id, answer]) => `    ${JSON.stringify(id)}: ${JSON.stringify(answer)}`,
  );
  const head = `  "peer": ${JSON.stringify(recorded.peer)},\n  "recorded": ${JSON.stringify(recorded.recorded)},\n`;
  writeFileSync(RECORDED_FILE, `{\n${head}  "answers": {\n${lines.join(',\n')}\n  }\n}\n`);
}
