import type { EventSource } from '../../src/audit/event.ts';
import type { LogPolicies } from '../../src/audit/log-policies.ts';
import { toLine } from '../../src/audit/pipeline.ts';
import type { CheckRecord } from '../../src/audit/record.ts';
import { createRedact } from '../../src/audit/redact.ts';
import { toNdBuiltinCache } from '../../src/builtins/nd-cache.ts';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { fromCheckRequest } from '../../src/ext-authz/check-request.ts';
import type { Reading } from '../../src/ext-authz/reading.ts';
import { aCheckRequest, encodeCheckRequest } from './check-client.ts';

/** The record of an allowed GET of `/`, with `given` over it. */
export function aRecord(given: Partial<CheckRecord> = {}): CheckRecord {
  return {
    decisionId: 'decision-1',
    startedAtMs: Date.UTC(2026, 10, 29, 3),
    handlerNs: 1_000,
    evaluationNs: 500,
    units: 42,
    effect: 'allow',
    reason: 'policy_allowed',
    cancelled: false,
    policy: 'only',
    entrypoint: 'envoy/authz/allow',
    decidedBy: { policy: 'only', revision: 'sha256:1', seq: 3 },
    position: { epoch: 1, seq: 7 },
    identity: {},
    resultText: 'true',
    request: encodeCheckRequest(aCheckRequest()),
    believed: true,
    ...given,
  };
}

export interface LineOptions {
  readonly names?: readonly string[];
  readonly claims?: readonly string[];
  readonly bodies?: boolean;
  /** what the mask policy says; a function: asked with its input */
  readonly mask?: Json | ((input: JsonObject) => Json | undefined);
  /** of the mask policy nothing runs */
  readonly maskMissing?: boolean;
  readonly drop?: (input: JsonObject) => Json | undefined;
  /** in place of what the CheckRequest says */
  readonly input?: Json;
  readonly reading?: Reading;
}

const source = ({ input, reading }: Pick<LineOptions, 'input' | 'reading'>): EventSource => ({
  labels: { id: 'here', version: '1' },
  writeInput: ({ request, believed, identity = {} }) =>
    input === undefined
      ? fromCheckRequest(request, { identityFields: believed }, reading).writeInput(identity)
      : Buffer.from(JSON.stringify(input)),
  writeNdBuiltinCache: (calls) =>
    toNdBuiltinCache(calls.map(({ name, args, text }) => ({ name, args, text }))),
});

/** The line of a record, as text; undefined: the drop policy says so. */
export function lineOf(record: CheckRecord, options: LineOptions = {}): string | undefined {
  const { names = [], claims = [], bodies = false, mask, maskMissing = false, drop } = options;
  const ask = (said: Json | ((input: JsonObject) => Json | undefined)) => ({
    evaluate: (_entrypoint: string, bytes: Uint8Array) =>
      typeof said === 'function' ? said(JSON.parse(Buffer.from(bytes).toString()) as JsonObject) : said,
  });
  const policies: LogPolicies = {
    mask: () => {
      if (maskMissing) return 'missing';
      return mask === undefined ? undefined : ask(mask);
    },
    drop: () => drop && ask(drop),
  };
  const redact = createRedact({ names: [...names], claims: [...claims], bodies });
  return toLine(record, { ...source(options), policies, redact, onErased: () => {} });
}

export function eventOf(record: CheckRecord, options: LineOptions = {}): JsonObject {
  return JSON.parse(lineOf(record, options) ?? 'null') as JsonObject;
}
