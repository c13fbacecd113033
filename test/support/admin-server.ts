import { Value } from 'typebox/value';
import { expect } from 'vitest';
import type { Proof } from '../../src/admin/agent-endpoints.ts';
import { createCursors } from '../../src/admin/cursor.ts';
import { type AdminOptions, adminOptionsSchema } from '../../src/admin/options.ts';
import { createAdminServer } from '../../src/admin/server.ts';
import { createTokenState } from '../../src/admin/token-state.ts';
import { createIssuedToken, createOneTimeToken } from '../../src/admin/tokens.ts';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { createEnrolments } from '../../src/identity/enrolment-state.ts';
import { createNodeIssuer } from '../../src/identity/issue.ts';
import { createIssuedCertificates } from '../../src/identity/issued-certificates.ts';
import { createIssuers } from '../../src/identity/state.ts';
import { createMemorySealedSecrets } from '../../src/journal/memory-secrets.ts';
import { systemRandom } from '../../src/journal/random.ts';
import { createSecrets } from '../../src/journal/secrets.ts';
import { toSecretsKey } from '../../src/journal/secrets-key.ts';
import { createPolicyAdministration, type PolicyAdministration } from '../../src/policy/administration.ts';
import { createPolicyState } from '../../src/policy/state.ts';
import { createRegistry } from '../../src/registry/state.ts';
import { type RegoOptions, regoOptions } from '../../src/rego/options.ts';
import { createToolchain, type Toolchain } from '../../src/rego/toolchain.ts';
import { createAgentConfiguration } from '../../src/roles/agent-configuration.ts';
import { type LogFields, type Logger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import type { NodeStatus, Place } from '../../src/xds/node-status.ts';
import { type Tier1Options, tier1OptionsSchema } from '../../src/xds/options.ts';
import type { NodeProgress } from '../../src/xds/rollout.ts';
import { createContract, type OpenApiDocument } from './admin-contract.ts';
import { createTestJournal, type TestJournal } from './journal-memory.ts';
import { POLICY_LIMITS } from './metered-evaluator.ts';

export interface CallOptions {
  readonly body?: unknown;
  /** instead of `body`: what is sent as it is */
  readonly raw?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** null: none; default: a token that may do everything */
  readonly token?: string | null;
}

export interface SeenAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly etag: string;
  // The contract has been checked; the cases read what they are about.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any;
}

export interface AdminHarness {
  readonly url: string;
  readonly token: string;
  readonly oneTimeToken: string;
  readonly journal: TestJournal;
  /** what was logged, as one text per line */
  readonly logged: readonly string[];
  setNodeStatus(status: NodeStatus | undefined): void;
  /** what is known of every node */
  setNodeProgress(progress: NodeProgress | undefined): void;
  /** Calls, and fails the case when the answer is not what the OpenAPI document says. */
  call(method: string, path: string, options?: CallOptions): Promise<SeenAnswer>;
  /** number of entries in the journal */
  length(): Promise<number>;
  close(): Promise<void>;
}

export interface AdminHarnessOptions {
  readonly clock?: Clock;
  readonly options?: Partial<AdminOptions>;
  /** with an authority of the nodes; an entry of the journal */
  readonly enrolment?: boolean;
  /** one for several cases: it takes a moment to start */
  readonly toolchain?: Toolchain;
  readonly policies?: (real: PolicyAdministration) => PolicyAdministration;
}

/** The admin REST API on a free port, over a journal in memory. Only control is not the real one. */
export async function startAdmin(given: AdminHarnessOptions = {}): Promise<AdminHarness> {
  const clock = given.clock ?? systemClock;
  const basics = { clock, random: systemRandom };
  const tokens = createTokenState();
  const registry = createRegistry(() => 'test');
  const issuers = createIssuers();
  const enrolments = createEnrolments();
  const policyState = createPolicyState();
  const toolchain = given.toolchain ?? createTestToolchain();
  const oneTime = createOneTimeToken(basics);
  const inAnHour = new Date(clock.nowMs() + 3_600_000).toISOString();
  const issued = createIssuedToken({ name: 'test', scopes: ['*'], expiresAt: inAnHour }, basics);
  const journal = await createTestJournal({
    clock,
    reducers: [tokens.reducer, registry.reducer, issuers.reducer, policyState.reducer, enrolments.reducer],
    extraDrafts: [oneTime.draft, issued.draft],
  });
  const real = createPolicyAdministration({
    view: policyState.view,
    blobs: journal.blobs,
    toolchain,
    options: POLICY_LIMITS,
  });
  const policies = given.policies?.(real) ?? real;
  const issuer = createNodeIssuer({
    ...basics,
    view: enrolments.view,
    isRegistered: (id) => registry.view.node(id) !== undefined,
    writer: journal.writer,
    secrets: createSecrets({
      sealed: createMemorySealedSecrets(),
      key: toSecretsKey(systemRandom(32)),
      random: systemRandom,
    }),
    trustDomain: 'test',
  });
  if (given.enrolment) await issuer.ensureAuthority(AbortSignal.timeout(10_000));
  const logged: string[] = [];
  let nodeStatus: NodeStatus | undefined;
  let nodeProgress: NodeProgress | undefined;
  const proofs = new Map<string, Place>();
  const proofOf = (node: string): Proof | undefined => {
    const place = proofs.get(node);
    return place && { ...place, at: new Date(clock.nowMs()).toISOString() };
  };
  const server = await createAdminServer({
    ...basics,
    options: { ...(Value.Default(adminOptionsSchema, {}) as AdminOptions), ...given.options },
    logger: loggerInto(logged),
    metrics: createMetrics(),
    journal: journal.journal,
    follower: journal.follower,
    writer: journal.writer,
    cursors: createCursors(systemRandom(32)),
    tokens,
    registry: registry.view,
    issuers: issuers.view,
    enrolments: enrolments.view,
    issued: createIssuedCertificates(enrolments.view),
    nodeIssuer: () => issuer,
    policies,
    bootstrapOf: (id) => ({ node: { id } }),
    nodeStatus: () => nodeStatus,
    progress: {
      replicas: () => [{ id: 'test', role: 'admin', seq: journal.follower.position().seq }],
      node: () => nodeProgress,
    },
    proofs: { report: async (node, place) => void proofs.set(node, place), of: proofOf },
    bounds: Value.Default(tier1OptionsSchema, {}) as Tier1Options,
    agentConfiguration: createAgentConfiguration({
      registry: registry.view,
      instance: 'test',
      buildOptions: () => ({ authz: { places: [], timeoutMs: 250 } }),
      bootstrapOf: (id) => ({ node: { id } }),
      progress: () => nodeProgress,
      issuer: () => issuer,
      tier1: Value.Default(tier1OptionsSchema, {}) as Tier1Options,
      clock,
    }),
  });
  const port = await server.listen({ address: '127.0.0.1', port: 0 });
  const url = `http://127.0.0.1:${port}`;
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as OpenApiDocument;
  const contract = createContract(document);

  return {
    url,
    token: issued.token,
    oneTimeToken: oneTime.token,
    journal,
    logged,
    setNodeStatus: (status) => {
      nodeStatus = status;
    },
    setNodeProgress: (progress) => {
      nodeProgress = progress;
    },
    async call(method, path, { body, raw, headers = {}, token = issued.token } = {}) {
      const sent = raw ?? (body === undefined ? undefined : JSON.stringify(body));
      const response = await fetch(`${url}${path}`, {
        method,
        headers: {
          ...(token !== null && { authorization: `Bearer ${token}` }),
          ...(sent !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(sent !== undefined && { body: sent as BodyInit }),
        signal: AbortSignal.timeout(20_000),
      });
      const text = await response.text();
      const answer = text === '' ? undefined : (JSON.parse(text) as unknown);
      const { status } = response;
      const contentType = response.headers.get('content-type') ?? '';
      expect(contract({ method, path, status, contentType, body: answer })).toBeUndefined();
      return { status, headers: response.headers, etag: response.headers.get('etag') ?? '', body: answer };
    },
    length: async () => (await journal.journal.head()).seq,
    async close() {
      await server.close(1_000);
      if (given.toolchain === undefined) await toolchain.close();
    },
  };
}

function loggerInto(lines: string[]): Logger {
  const write = (fields: LogFields, message: string): void => {
    const { err, ...rest } = fields;
    lines.push(`${JSON.stringify(rest)} ${err instanceof Error ? err.message : ''} ${message}`);
  };
  const logger: Logger = { debug: write, info: write, warn: write, error: write, child: () => logger };
  return logger;
}

export function createTestToolchain(): Toolchain {
  return createToolchain(Value.Default(regoOptions, {}) as RegoOptions);
}
