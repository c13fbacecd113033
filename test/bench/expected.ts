/** What OPA's own evaluator says about each request, and whether an answer of ours says the same. */
import { isDeepStrictEqual } from 'node:util';
import { Value } from 'typebox/value';
import { readPolicyFolder } from '../../src/policy/folder.ts';
import { type RegoOptions, regoOptions } from '../../src/rego/options.ts';
import { createToolchain } from '../../src/rego/toolchain.ts';
import { type CheckAnswer, decodeCheckResponse, type HeaderOption } from '../support/check-client.ts';
import { NATIVE_BUILTINS } from '../support/native-builtins.ts';

/** An answer without what varies from call to call. */
interface Verdict {
  readonly allowed: boolean;
  /** of a denial */
  readonly status?: string;
  readonly body?: string;
  /** of a denial to the client, of an allow to the upstream */
  readonly headers: Readonly<Record<string, string>>;
  readonly removed: readonly string[];
}

/** The result document of the policies of the bench: a part of what a policy may say. */
interface PolicyResult {
  readonly allowed: boolean;
  readonly http_status?: number;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly request_headers_to_remove?: readonly string[];
}

/** `envoy.type.v3.StatusCode` */
const STATUS_NAMES: Readonly<Record<number, string>> = { 401: 'Unauthorized', 403: 'Forbidden' };

/** @returns one verdict per input */
export async function evaluateWithOpa(
  policyPath: string,
  inputs: readonly string[],
): Promise<readonly Verdict[]> {
  const toolchain = createToolchain(Value.Default(regoOptions, {}) as RegoOptions);
  try {
    const { modules, data = {} } = readPolicyFolder(policyPath);
    const entrypoint = 'envoy/authz/allow';
    const source = { modules, data, builtins: NATIVE_BUILTINS };
    const outcomes = await toolchain.evaluate({ ...source, entrypoint, inputs });
    return outcomes.map(({ text, error }) => {
      if (error !== undefined) throw new Error(`OPA could not evaluate: ${error.message}`);
      // undefined is a denial
      return toVerdict(text === undefined ? false : (JSON.parse(text) as boolean | PolicyResult));
    });
  } finally {
    await toolchain.close();
  }
}

function toVerdict(result: boolean | PolicyResult): Verdict {
  const full = typeof result === 'boolean' ? { allowed: result } : result;
  const { allowed, http_status = 403, body = '', headers = {}, request_headers_to_remove = [] } = full;
  if (allowed) return { allowed, headers, removed: request_headers_to_remove };
  return { allowed, status: STATUS_NAMES[http_status] ?? `${http_status}`, body, headers, removed: [] };
}

/** @returns what differs; undefined when nothing does */
export function compare(answer: Buffer, expected: Verdict): string | undefined {
  const seen = fromAnswer(decodeCheckResponse(answer));
  if (isDeepStrictEqual(seen, expected)) return undefined;
  return `expected ${JSON.stringify(expected)}, seen ${JSON.stringify(seen)}`;
}

function fromAnswer({ status, denied_response: denied, ok_response: ok }: CheckAnswer): Verdict {
  if (status !== null && (status.code ?? 0) === 0) {
    return { allowed: true, headers: toRecord(ok?.headers), removed: ok?.headers_to_remove ?? [] };
  }
  return {
    allowed: false,
    status: denied?.status.code ?? '',
    body: denied?.body ?? '',
    headers: toRecord(denied?.headers),
    removed: [],
  };
}

function toRecord(headers: readonly HeaderOption[] = []): Readonly<Record<string, string>> {
  return Object.fromEntries(headers.map(({ header }) => [header.key, header.value]));
}
