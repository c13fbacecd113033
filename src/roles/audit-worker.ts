/** The thread that writes the decision log: rooms that must not know of each other meet here, as in this folder's others. */
import { parentPort, workerData } from 'node:worker_threads';
import type { LogPolicies, LogPolicy } from '../audit/log-policies.ts';
import type { CheckRecord } from '../audit/record.ts';
import { runWorker } from '../audit/worker.ts';
import type { PolicySlot, WorkerSettings } from '../audit/worker-protocol.ts';
import { toNdBuiltinCache } from '../builtins/nd-cache.ts';
import { fromCheckRequest } from '../ext-authz/check-request.ts';
import { type ReadingOptions, readingOf } from '../ext-authz/reading.ts';
import { createMessageDecoder } from '../grpc/message-decoder.ts';
import { knownBuiltins } from '../policy/all-builtins.ts';
import { createEvaluator, type Evaluator } from '../policy/evaluator.ts';
import { createOtlp } from '../telemetry/otlp.ts';

/** `workerData` */
export interface AuditWorkerSettings extends WorkerSettings {
  /** as where the Checks are answered */
  readonly reading: ReadingOptions;
  /** of `authz.protoDescriptorFile` */
  readonly descriptorSet: Uint8Array | undefined;
}

const settings = workerData as AuditWorkerSettings;
const { otlp, otlpHeaders: headers, instance, version, descriptorSet } = settings;
const reading = readingOf(settings.reading, descriptorSet && createMessageDecoder(descriptorSet));

if (parentPort !== null) {
  await runWorker({
    port: parentPort,
    settings,
    otlp: otlp && createOtlp(otlp, { instance, version, headers }),
    writeInput: ({ request, believed, identity = {} }: CheckRecord) =>
      fromCheckRequest(request, { identityFields: believed }, reading).writeInput(identity),
    writeNdBuiltinCache: (calls) => toNdBuiltinCache(calls.map(({ text, ...call }) => ({ ...call, text }))),
    policies: createLogPolicies(),
  });
}

function createLogPolicies(): LogPolicies & { replace(mask: PolicySlot, drop: PolicySlot): void } {
  let current: {
    readonly mask: LogPolicy | 'missing' | undefined;
    readonly drop: LogPolicy | 'missing' | undefined;
  } = {
    mask: undefined,
    drop: undefined,
  };
  return {
    mask: () => current.mask,
    drop: () => current.drop,
    replace(mask, drop) {
      const first = toLogPolicy(mask);
      current = { mask: first, drop: drop === mask ? first : toLogPolicy(drop) };
    },
  };
}

function toLogPolicy(slot: PolicySlot): LogPolicy | 'missing' | undefined {
  if (slot === undefined || slot === 'missing') return slot;
  const { module, ...options } = slot;
  let evaluator: Evaluator;
  try {
    // one that fails often is not refused here: nobody waits for this thread
    evaluator = createEvaluator(module, { ...options, builtins: knownBuiltins(), now: () => 0 });
  } catch {
    return 'missing';
  }
  return {
    evaluate(entrypoint, input) {
      const evaluation = evaluator.evaluate(entrypoint, input);
      return evaluation.defined ? evaluation.value : undefined;
    },
  };
}
