/**
 * The trace that a request belongs to: W3C Trace Context (`traceparent`, section 3.2), else B3, single or in several
 * headers (openzipkin/b3-propagation). What has not just that form is no trace.
 */
export interface TraceParent {
  /** 32 hex digits */
  readonly traceId: string;
  /** 16 hex digits: the span of whoever asks */
  readonly spanId: string;
  readonly sampled: boolean;
}

type ReadHeader = (name: string) => string | undefined;

const W3C = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;
const B3 = /^([0-9a-f]{16}|[0-9a-f]{32})-([0-9a-f]{16})(?:-([01d]))?(?:-[0-9a-f]{16})?$/;
const NOTHING = /^0+$/;

export function readTraceParent(header: ReadHeader): TraceParent | undefined {
  const w3c = W3C.exec(header('traceparent') ?? '');
  if (w3c !== null) {
    const [, traceId = '', spanId = '', flags = ''] = w3c;
    return traceParent(traceId, spanId, (Number.parseInt(flags, 16) & 1) === 1);
  }
  const single = header('b3') ?? severalHeaders(header);
  const b3 = B3.exec(single?.toLowerCase() ?? '');
  if (b3 === null) return undefined;
  const [, traceId = '', spanId = '', state] = b3;
  return traceParent(traceId.padStart(32, '0'), spanId, state === '1' || state === 'd');
}

function severalHeaders(header: ReadHeader): string | undefined {
  const traceId = header('x-b3-traceid');
  if (traceId === undefined) return undefined;
  const state = header('x-b3-flags') === '1' ? 'd' : header('x-b3-sampled');
  return [traceId, header('x-b3-spanid') ?? '', ...(state === undefined ? [] : [state])].join('-');
}

function traceParent(traceId: string, spanId: string, sampled: boolean): TraceParent | undefined {
  return NOTHING.test(traceId) || NOTHING.test(spanId) ? undefined : { traceId, spanId, sampled };
}
