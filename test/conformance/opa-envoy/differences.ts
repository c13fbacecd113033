/**
 * The intended differences from opa-envoy-plugin, one per row of the README's list, each with what it makes of two
 * answers: what the difference covers is taken out of both, and the rest must be equal.
 */
import type { Answer, AnsweredHeader } from './answer.ts';

interface Difference {
  /** without and with `compatibility: opa-envoy` */
  readonly modes: readonly ('chancery' | 'opa-envoy')[];
  /** @returns the answer without what the difference explains; as it came when it is not of that kind */
  readonly without: (answer: Answer) => Answer;
}

const CHANCERY = ['chancery'] as const;
const BOTH = ['chancery', 'opa-envoy'] as const;

const marked = (what: string): Answer => ({ message: `<${what}>` });
const isRpc = ({ rpc }: Answer, code: string): boolean => rpc?.code === code;
const isProblem = ({ denied }: Answer, code: string): boolean =>
  denied?.body?.includes(`"code":"${code}"`) === true;
const isPeerRefusal = ({ message = '' }: Answer): boolean => message.startsWith('request_parse_error: ');

const withoutSeen = (answer: Answer): Answer =>
  answer.metadata !== undefined && 'seen' in answer.metadata
    ? { ...answer, metadata: { ...answer.metadata, seen: '<seen>' } }
    : answer;

function withoutActions(answer: Answer): Answer {
  const bare = (headers: readonly AnsweredHeader[]): AnsweredHeader[] =>
    headers.map(({ name, value }) => ({ name, value }));
  const { ok, denied } = answer;
  return {
    ...answer,
    ...(ok && {
      ok: {
        ...ok,
        ...(ok.headers && { headers: bare(ok.headers) }),
        ...(ok.responseHeaders && { responseHeaders: bare(ok.responseHeaders) }),
      },
    }),
    ...(denied && { denied: { ...denied, ...(denied.headers && { headers: bare(denied.headers) }) } }),
  };
}

/** Of a denial ours says more in the metadata; what the plugin does not let pass is all of the difference. */
function withoutDryRun(answer: Answer): Answer {
  if (isPeerRefusal(answer) || isRpc(answer, 'UNKNOWN')) return marked('dry run');
  const { dry_run: truth, ...metadata } = (answer.metadata ?? {}) as {
    readonly dry_run?: { reason: string };
  };
  if (truth !== undefined && truth.reason !== 'policy_denied') return marked('dry run');
  return { ...answer, metadata };
}

export const DIFFERENCES = {
  undefined: {
    modes: CHANCERY,
    without: (answer) =>
      isProblem(answer, 'policy_undefined') ||
      (isRpc(answer, 'UNKNOWN') && answer.rpc?.message === 'undefined decision')
        ? marked('undefined')
        : answer,
  },
  'policy-failed': {
    modes: CHANCERY,
    without: (answer) =>
      isProblem(answer, 'policy_failed') || isRpc(answer, 'UNKNOWN') ? marked('policy failed') : answer,
  },
  'parse-refusal': {
    modes: CHANCERY,
    without: (answer) =>
      isProblem(answer, 'request_malformed') || isPeerRefusal(answer) ? marked('parse refusal') : answer,
  },
  'dry-run': { modes: CHANCERY, without: withoutDryRun },
  'append-choice': { modes: CHANCERY, without: () => marked('append choice') },
  'query-spellings': {
    modes: BOTH,
    without: ({ ok, ...answer }) => ({ ...answer, ok: { ...ok, removeQuery: ['<removed>'] } }),
  },
  'append-action': { modes: BOTH, without: withoutActions },
  'error-text': {
    modes: ['opa-envoy'],
    without: (answer) => {
      if (answer.rpc !== undefined) return marked(`rpc ${answer.rpc.code}`);
      return isPeerRefusal(answer) ? marked('parse refusal') : answer;
    },
  },
  'raw-headers': { modes: BOTH, without: withoutSeen },
  identity: { modes: BOTH, without: withoutSeen },
  utf8: { modes: BOTH, without: () => marked('utf8') },
  unsendable: { modes: BOTH, without: () => marked('unsendable') },
  'input-limits': { modes: BOTH, without: () => marked('input limits') },
  'wire-strictness': { modes: BOTH, without: () => marked('wire strictness') },
  'grpc-any': { modes: BOTH, without: () => marked('any') },
} as const satisfies Record<string, Difference>;

export type DifferenceId = keyof typeof DIFFERENCES;

/** The rows that hold in a mode, of those that a case names. */
export function rowsIn(
  mode: 'chancery' | 'opa-envoy',
  rows: readonly DifferenceId[],
): readonly DifferenceId[] {
  return rows.filter((row) => (DIFFERENCES[row].modes as readonly string[]).includes(mode));
}

export function withoutDifferences(answer: Answer, rows: readonly DifferenceId[]): Answer {
  return rows.reduce((rest, row) => DIFFERENCES[row].without(rest), answer);
}
