/** The decision log and the traces of role `authz`: their queues, their worker, and the policies that it applies. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { createDecisionLog, type DecisionLog, type WorkerHandle } from '../audit/decision-log.ts';
import { observeQueues } from '../audit/measures.ts';
import type { AuditOptions } from '../audit/options.ts';
import type { SinkName } from '../audit/sink.ts';
import { SinkQueue } from '../audit/sink-queue.ts';
import type { FromWorker, PolicySlot } from '../audit/worker-protocol.ts';
import type { Config } from '../config/schema.ts';
import { Failure } from '../core/failure.ts';
import type { ActivePolicies } from '../policy/active.ts';
import type { AuditWorkerSettings } from './audit-worker.ts';
import type { AuthzDeps } from './authz.ts';
import type { World } from './world.ts';

const WORKER = new URL(`./audit-worker${extname(import.meta.filename)}`, import.meta.url);
const BYTES_PER_MIB = 1_048_576;

/** @returns undefined  when nothing is to be recorded; its metrics are there all the same */
export function openDecisionLog(
  config: Config,
  { metrics, logger }: World,
  { policies, descriptorSet }: Pick<AuthzDeps, 'policies' | 'descriptorSet'>,
): DecisionLog | undefined {
  const { audit, telemetry, authz } = config;
  const limits = { events: audit.queueEvents, bytes: audit.queueMiB * BYTES_PER_MIB };
  const queues = sinksOf(config).map(([name, whenFull]) => new SinkQueue(name, whenFull, limits));
  const { erased, ndDropped, handOvers } = observeQueues(metrics, queues);
  if (queues.length === 0) return undefined;
  const settings: AuditWorkerSettings = {
    audit,
    reading: authz,
    descriptorSet,
    sinks: queues.map(({ name }) => name),
    otlp: telemetry.otlp,
    otlpHeaders: readHeaders(telemetry.otlp?.headersFile),
    httpToken: audit.http?.tokenFile && read(audit.http.tokenFile, 'audit.http.tokenFile').trim(),
    instance: randomUUID(),
    version: readVersion(),
  };
  return createDecisionLog({
    queues,
    startWorker: (onMessage) => startWorker(settings, onMessage),
    policies: () => policiesOf(audit, policies),
    onErased: () => erased.add(),
    ...(audit.ndBuiltinCache && {
      ndBuiltinCache: { maxBytes: audit.ndBuiltinCacheMaxBytes, dropped: () => ndDropped.add() },
    }),
    onHandedOver: (seconds) => handOvers.observe(seconds),
    logger: logger.child({ role: 'authz' }),
  });
}

function sinksOf({ audit, telemetry: { otlp } }: Config): readonly (readonly [SinkName, 'drop' | 'block'])[] {
  const sinks: [SinkName, 'drop' | 'block'][] = [];
  for (const name of ['console', 'file', 'http', 'otlp'] as const) {
    const sink = audit[name];
    if (sink !== undefined) sinks.push([name, sink.whenFull]);
  }
  if (otlp?.traces) sinks.push(['traces', 'drop']);
  return sinks;
}

function policiesOf(
  { maskPolicy, dropPolicy }: AuditOptions,
  policies: ActivePolicies,
): { readonly mask: PolicySlot; readonly drop: PolicySlot } {
  const slot = (name: string | undefined): PolicySlot =>
    name === undefined ? undefined : (policies.select(name)?.compiled ?? 'missing');
  return { mask: slot(maskPolicy), drop: slot(dropPolicy) };
}

function startWorker(settings: AuditWorkerSettings, onMessage: (message: FromWorker) => void): WorkerHandle {
  const worker = new Worker(WORKER, { workerData: settings, execArgv: [], env: {} });
  worker.on('message', onMessage);
  const ended = new Promise<unknown>((resolve) => {
    let error: unknown;
    worker.once('error', (cause) => (error = cause));
    worker.once('exit', (code) => resolve(error ?? code));
  });
  return {
    post: (message, transfer) => worker.postMessage(message, [...transfer]),
    ended,
    terminate: () => worker.terminate(),
  };
}

function readHeaders(file: string | undefined): Readonly<Record<string, string>> {
  if (file === undefined) return {};
  const where = 'telemetry.otlp.headersFile';
  try {
    const headers: unknown = JSON.parse(read(file, where));
    if (typeof headers === 'object' && headers !== null && !Array.isArray(headers)) {
      const entries = Object.entries(headers);
      if (entries.every(([, value]) => typeof value === 'string')) return Object.fromEntries(entries);
    }
  } catch (cause) {
    throw Failure.from(cause, 'request_malformed', `${where} is not JSON`);
  }
  throw new Failure('request_malformed', `${where} must hold an object of strings`);
}

function read(file: string, where: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Failure('request_malformed', `${where} cannot be read`, { cause });
  }
}

function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}
