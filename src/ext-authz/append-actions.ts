/**
 * Headers as Envoy's `HeaderValueOption`: each states what becomes of a header that is there already.
 *
 * Envoy 1.40 and before do not look at the action of a *request* header: they overwrite, or append to one that exists
 * if the deprecated `append` is set. Later ones read the action, whose zero value would add to a header that the client
 * sent itself. So both are set to mean the same, and what depends on whether the header exists is decided here, by the
 * request. For response headers every version reads the action.
 */
import type { AppendAction, HeaderPair } from '../core/decision.ts';

export interface HeaderOption {
  readonly name: string;
  readonly value: string;
  /** `HeaderValueOption.HeaderAppendAction` */
  readonly action: number;
  /** the deprecated BoolValue */
  readonly append: boolean;
}

const ACTIONS: Readonly<Record<AppendAction, number>> = {
  append_if_exists_or_add: 0,
  add_if_absent: 1,
  overwrite_if_exists_or_add: 2,
  overwrite_if_exists: 3,
};

/**
 * Without an action the first value replaces what the client sent, and the others join it.
 *
 * @param isSent  whether the request has a header of that name, in lower case
 */
export function requestHeaderOptions(
  pairs: readonly HeaderPair[],
  isSent: (name: string) => boolean,
): readonly HeaderOption[] {
  const written = new Set<string>();
  const options: HeaderOption[] = [];
  for (const [name, value, chosen] of pairs) {
    const key = name.toLowerCase();
    const first = written.has(key) ? 'append_if_exists_or_add' : 'overwrite_if_exists_or_add';
    const action = chosen ?? first;
    const exists = action !== 'overwrite_if_exists_or_add' && (written.has(key) || isSent(key));
    if (action === (exists ? 'add_if_absent' : 'overwrite_if_exists')) continue;
    const append = exists && action === 'append_if_exists_or_add';
    options.push({ name, value, action: ACTIONS[action], append });
    written.add(key);
  }
  return options;
}

/** Without an action one value replaces, and several of one name all add: an overwrite would lose all but one. */
export function responseHeaderOptions(pairs: readonly HeaderPair[]): readonly HeaderOption[] {
  const counts = new Map<string, number>();
  for (const [name] of pairs) counts.set(name.toLowerCase(), (counts.get(name.toLowerCase()) ?? 0) + 1);
  return pairs.map(([name, value, chosen]) => {
    const several = (counts.get(name.toLowerCase()) ?? 0) > 1;
    const action = chosen ?? (several ? 'append_if_exists_or_add' : 'overwrite_if_exists_or_add');
    return { name, value, action: ACTIONS[action], append: false };
  });
}
