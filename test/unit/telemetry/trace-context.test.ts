import { describe, expect, it } from 'vitest';
import { readTraceParent } from '../../../src/telemetry/trace-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const read = (headers: Readonly<Record<string, string>>) => readTraceParent((name) => headers[name]);

describe('the trace of a request', () => {
  it.each<[string, Record<string, string>, object | undefined]>([
    ['traceparent, sampled', { traceparent: `00-${TRACE}-${SPAN}-01` }, { sampled: true }],
    ['traceparent, not sampled', { traceparent: `00-${TRACE}-${SPAN}-02` }, { sampled: false }],
    ['a later version of traceparent', { traceparent: `cc-${TRACE}-${SPAN}-01-more` }, { sampled: true }],
    ['the forbidden version', { traceparent: `ff-${TRACE}-${SPAN}-01` }, undefined],
    ['a trace of zeros', { traceparent: `00-${'0'.repeat(32)}-${SPAN}-01` }, undefined],
    ['a span of zeros', { traceparent: `00-${TRACE}-${'0'.repeat(16)}-01` }, undefined],
    ['upper case, which W3C forbids', { traceparent: `00-${TRACE.toUpperCase()}-${SPAN}-01` }, undefined],
    ['single B3', { b3: `${TRACE}-${SPAN}-1` }, { sampled: true }],
    ['single B3 that debugs, with a parent', { b3: `${TRACE}-${SPAN}-d-${SPAN}` }, { sampled: true }],
    ['single B3 that leaves it open', { b3: `${TRACE}-${SPAN}` }, { sampled: false }],
    ['single B3 that only denies', { b3: '0' }, undefined],
    [
      'B3 in several headers',
      { 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-sampled': '1' },
      { sampled: true },
    ],
    [
      'B3 with the debug flag',
      { 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-flags': '1' },
      { sampled: true },
    ],
    ['nothing', {}, undefined],
  ])('is read from %s', (_title, headers, expected) => {
    expect(read(headers)).toEqual(expected && { traceId: TRACE, spanId: SPAN, ...expected });
  });

  it('of 64 bits is padded, and W3C wins over B3', () => {
    const short = TRACE.slice(16);
    expect(read({ b3: `${short}-${SPAN}-1` })?.traceId).toBe(short.padStart(32, '0'));
    expect(read({ b3: `${short}-${SPAN}-1`, traceparent: `00-${TRACE}-${SPAN}-01` })?.traceId).toBe(TRACE);
  });
});
