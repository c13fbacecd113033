import { describe, expect, it } from 'vitest';
import { createPipeline } from '../../../src/audit/pipeline.ts';
import type { CheckRecord } from '../../../src/audit/record.ts';
import { createRedact } from '../../../src/audit/redact.ts';
import type { DropReason, LogItem, SinkName } from '../../../src/audit/sink.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { aRecord, eventOf, type LineOptions, lineOf } from '../../support/decision-record.ts';

const nested = (levels: number): string => `${'{"a":['.repeat(levels / 2)}"4711"${']}'.repeat(levels / 2)}`;
const identity = { user: { issuer: 'idp', subject: 'alice-4711', claims: {} } };

describe('a result that is nested deeply', () => {
  it.each([1_000, 2_000])('is written with %i levels', (levels) => {
    expect(lineOf(aRecord({ resultText: nested(levels) }))).toContain(`"result":${nested(levels)}`);
  });

  it.each<[number, LineOptions]>([
    [2_002, {}],
    [10_000, {}],
    [100_000, {}],
    [10_000, { mask: ['/result/a'] }],
  ])('is left out with %i levels, and the event says so', (levels, options) => {
    const record = aRecord({ resultText: nested(levels), identity });
    const { result, erased, chancery, input } = eventOf(record, options);
    expect({ result, erased, input: typeof input }).toEqual({
      result: undefined,
      erased: ['/result'],
      input: 'object',
    });
    expect(chancery).toMatchObject({ redaction: { failed: 'the result is nested too deeply' } });
  });

  it('counts brackets that stand in texts for nothing', () => {
    const resultText = JSON.stringify({ text: '[{'.repeat(5_000), more: '"[\\'.repeat(5_000) });
    expect(lineOf(aRecord({ resultText }))).toContain(`"result":${resultText}`);
  });
});

/** What a sink got, and what became of the rest. */
function take(records: readonly CheckRecord[], sinks: readonly SinkName[] = ['file']) {
  const got = new Map<SinkName, JsonObject[]>();
  const dropped: [SinkName, string, DropReason | undefined][] = [];
  let erased = 0;
  const redact = createRedact({ names: [], claims: [], bodies: false });
  const pipeline = createPipeline({
    labels: { id: 'here' },
    writeInput: () => Buffer.from('{"pin":"4711"}'),
    writeNdBuiltinCache: () => '{}',
    policies: { mask: () => undefined, drop: () => undefined },
    redact: (event, masked) => {
      if (event['decision_id'] === 'poison') throw new RangeError('any');
      return redact(event, masked);
    },
    sinks: sinks.map((name) => ({
      name,
      write: (items: readonly LogItem[]) => {
        const events = items.map(({ line, record }) => (line === '' ? record.decisionId : JSON.parse(line)));
        got.set(name, events);
      },
      close: async () => {},
    })),
    settle: (sink, items, reason) => {
      for (const { record } of items) dropped.push([sink, record.decisionId, reason]);
    },
    onErased: () => {
      erased += 1;
    },
  });
  pipeline.take({ records, sinks: records.map(() => sinks) });
  return { got, dropped, erased: () => erased };
}

describe('a record that cannot be made a line', () => {
  const records = (bad: Partial<CheckRecord>) => [
    aRecord({ decisionId: 'before' }),
    aRecord({ identity, ...bad }),
    aRecord({ decisionId: 'after' }),
  ];

  it('takes no other one with it, and is written without its content', () => {
    const { got, dropped, erased } = take(records({ decisionId: 'poison' }));
    const events = got.get('file') ?? [];
    expect(events.map((event) => event['decision_id'])).toEqual(['before', 'poison', 'after']);
    expect(events[0]).toMatchObject({ input: { pin: '4711' } });
    expect(JSON.stringify(events[1])).not.toContain('4711');
    expect(events[1]).toMatchObject({
      bundles: { only: { revision: 'sha256:1' } },
      erased: ['/input', '/result', '/chancery/principal'],
      chancery: { effect: 'allow', redaction: { failed: 'the event cannot be written' } },
      metrics: { timer_server_handler_ns: 1_000 },
    });
    expect(dropped).toEqual([]);
    expect(erased()).toBe(1);
  });

  it('is dropped and counted where not even that can be written, and its span is not', () => {
    const { got, dropped } = take(records({ decisionId: 'timeless', startedAtMs: Number.NaN }), [
      'file',
      'traces',
    ]);
    expect(got.get('file')?.map((event) => event['decision_id'])).toEqual(['before', 'after']);
    expect(got.get('traces')).toHaveLength(3);
    expect(dropped).toEqual([['file', 'timeless', 'unwritable']]);
  });
});
