/** A finished run as text: the formats of `opa test`, with what the compiled module says added, and JUnit. */
import type { TestReport } from '../rego/messages.ts';
import type { ComparedTest } from './test-comparison.ts';

export interface FinishedRun {
  readonly report: TestReport;
  readonly tests: readonly ComparedTest[];
  readonly verbose: boolean;
}

export function toPretty({ report, tests, verbose }: FinishedRun): string {
  const lines = tests.flatMap(({ test, comparison }) => {
    const place = `${test.file}:${test.row}: ${test.name}`;
    if (comparison?.outcome === 'different') return [`${place}: DIFFERENT: ${comparison.difference}`];
    if (comparison?.outcome === 'opa-only' && verbose) return [`${place}: OPA ONLY: ${comparison.reason}`];
    return [];
  });
  return `${report.pretty ?? ''}${[...lines, ...comparisonSummary(tests)].map((line) => `${line}\n`).join('')}`;
}

function comparisonSummary(tests: readonly ComparedTest[]): readonly string[] {
  const compared = tests.filter(({ comparison }) => comparison !== undefined);
  const count = (outcome: string): number =>
    compared.filter(({ comparison }) => comparison?.outcome === outcome).length;
  const titles = { same: 'COMPILED', different: 'DIFFERENT', 'opa-only': 'OPA ONLY' };
  return Object.entries(titles).flatMap(([outcome, title]) =>
    count(outcome) === 0 ? [] : [`${title}: ${count(outcome)}/${compared.length}`],
  );
}

/** `opa test --format json`, with a member `compiled` in each test that is not skipped. */
export function toJson({ tests }: FinishedRun): string {
  const results = tests.map(({ test, comparison }) => ({
    ...test.report,
    ...(comparison !== undefined && { compiled: comparison }),
  }));
  return `${JSON.stringify(results, undefined, 2)}\n`;
}

/** One suite per file, as CI servers read it. */
export function toJunit({ tests }: FinishedRun): string {
  const files = Map.groupBy(tests, ({ test }) => test.file);
  const suites = [...files].map(([file, cases]) =>
    element('testsuite', suiteOf(file, cases), cases.map(toCase)),
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n${element('testsuites', countsOf(tests), suites)}\n`;
}

type Attributes = Readonly<Record<string, string | number>>;

function suiteOf(file: string, tests: readonly ComparedTest[]): Attributes {
  return { name: file, ...countsOf(tests) };
}

function countsOf(tests: readonly ComparedTest[]): Attributes {
  const count = (matches: (each: ComparedTest) => boolean): number => tests.filter(matches).length;
  return {
    tests: tests.length,
    failures: count(isFailed),
    errors: count(({ test }) => test.outcome === 'error'),
    skipped: count(({ test }) => test.outcome === 'skip'),
    time: seconds(tests.reduce((sum, { test }) => sum + test.durationNs, 0)),
  };
}

function isFailed({ test, comparison }: ComparedTest): boolean {
  return test.outcome !== 'error' && (test.outcome === 'fail' || comparison?.outcome === 'different');
}

function toCase({ test, comparison }: ComparedTest): string {
  const { name, file, row, durationNs, outcome, error, failedCases = [], output = '' } = test;
  const at = name.lastIndexOf('.');
  const children: string[] = [];
  if (outcome === 'skip') children.push(element('skipped', {}, []));
  if (outcome === 'error') children.push(element('error', { message: error?.message ?? '' }, []));
  if (outcome === 'fail') {
    const message = failedCases.length === 0 ? 'the test failed' : `failed cases: ${failedCases.join(', ')}`;
    children.push(element('failure', { message: `${file}:${row}: ${message}` }, []));
  }
  if (comparison?.outcome === 'different') {
    children.push(element('failure', { type: 'different', message: comparison.difference }, []));
  }
  if (output !== '') children.push(`<system-out>${escape(output)}</system-out>`);
  const attributes = { classname: name.slice(0, at), name: name.slice(at + 1), file, line: row };
  return element('testcase', { ...attributes, time: seconds(durationNs) }, children);
}

function element(name: string, attributes: Attributes, children: readonly string[]): string {
  const head = [
    name,
    ...Object.entries(attributes).map(([key, value]) => `${key}="${escape(String(value))}"`),
  ];
  if (children.length === 0) return `<${head.join(' ')}/>`;
  return `<${head.join(' ')}>\n${children.join('\n')}\n</${name}>`;
}

function seconds(nanoseconds: number): string {
  return (nanoseconds / 1e9).toFixed(6);
}

/** XML 1.0 has no place for most control characters, escaped or not (2.2). */
function escape(text: string): string {
  const names: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return text
    .toWellFormed()
    .replaceAll(/[^\t\n\r -\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')
    .replaceAll(/[&<>"]/g, (character) => names[character] ?? character);
}
