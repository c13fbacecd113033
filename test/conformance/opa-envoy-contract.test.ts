/**
 * The contract with opa-envoy-plugin, case by case through the real gRPC port: what we answer, and that it is what the
 * plugin answered to the same request and policy (recorded by `npm run compare -- --record`), but for what the README
 * lists as intended.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startCheckPort } from '../support/check-port.ts';
import type { Answer } from './opa-envoy/answer.ts';
import { askAll } from './opa-envoy/ask.ts';
import type { Group } from './opa-envoy/case.ts';
import { DIFFERENCES, type DifferenceId, rowsIn, withoutDifferences } from './opa-envoy/differences.ts';
import { GROUPS, policyModules, writeDescriptorSet } from './opa-envoy/groups.ts';
import { readRecorded } from './opa-envoy/recorded.ts';
import { TABLE } from './opa-envoy/table.ts';

type Mode = 'chancery' | 'opa-envoy';
type Answers = Readonly<Record<string, Answer>>;
const recorded = readRecorded();
const folder = mkdtempSync(join(tmpdir(), 'chancery-contract-'));
const descriptors = writeDescriptorSet(folder);
afterAll(() => rmSync(folder, { recursive: true }));

async function answersOf(mode: Mode): Promise<Answers> {
  const all: Answers[] = [];
  for (const group of Object.keys(GROUPS) as Group[]) {
    const cases = TABLE.filter((each) => each.group === group);
    const set = [...GROUPS[group].ours(descriptors), `authz.compatibility=${mode}`];
    const port = await startCheckPort(policyModules(cases), set);
    try {
      all.push(await askAll(port.client, cases));
    } finally {
      await port.close();
    }
  }
  return Object.assign({}, ...all) as Answers;
}

/** Equal but for the rows, and none of the rows is there for nothing. */
function expectSame(ours: Answer | undefined, peer: Answer | undefined, rows: readonly DifferenceId[]): void {
  if (ours === undefined || peer === undefined) throw new Error('the case was not asked, or not recorded');
  expect(withoutDifferences(ours, rows)).toEqual(withoutDifferences(peer, rows));
  for (const row of rows) {
    const others = rows.filter((other) => other !== row);
    expect(withoutDifferences(ours, others), `the difference ${row} does not occur any more`).not.toEqual(
      withoutDifferences(peer, others),
    );
  }
}

describe('the table', () => {
  it('has at least 150 cases, each of its own name, and each recorded', () => {
    const ids = TABLE.map(({ id }) => id);
    expect(ids.length).toBeGreaterThanOrEqual(150);
    expect(new Set(ids).size).toBe(ids.length);
    expect(Object.keys(recorded.answers)).toEqual(ids);
    expect(recorded.recorded).toMatch(/^20\d\d-\d\d-\d\d$/);
  });

  it('names the differences that the README lists, and no others; each occurs', () => {
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
    const [, list = ''] = /<!-- differences -->(.*)<!-- \/differences -->/s.exec(readme) ?? [];
    const listed = [...list.matchAll(/^\| `([a-z0-9-]+)`/gm)].map(([, id]) => id);
    expect(listed.toSorted()).toEqual(Object.keys(DIFFERENCES).toSorted());
    expect(new Set(TABLE.flatMap(({ differs }) => differs))).toEqual(new Set(listed));
  });
});

describe.each<Mode>(['chancery', 'opa-envoy'])('with compatibility: %s', (mode) => {
  let answers: Answers = {};
  beforeAll(async () => {
    answers = await answersOf(mode);
  }, 180_000);

  it.each(TABLE)('$id', ({ id, expect: expected, differs }) => {
    if (mode === 'chancery') expect(answers[id]).toEqual(expected);
    expectSame(answers[id], recorded.answers[id], rowsIn(mode, differs));
  });
});
