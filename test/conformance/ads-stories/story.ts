/**
 * A story: a rule, and a script of what a client says and what it must hear. One step per line:
 *
 * - `world cluster a=1 b=1; routes r=1:a` what the node should have, type by type; what is not named stays. `world@ID`
 *   for another node. `broken`: what follows cannot be built, until `mended`.
 * - `> TYPE …` sends. Delta: `+a` subscribe, `-a` unsubscribe, `=a@1` initial version (that of an edition heard before;
 *   `=a@?` one that nobody knows). State of the world: the names, all of them; `same` those of the last request.
 *   Both: `nonce:…`, `version:…`, `node:…`, `error`, `empty` (a name of no letters), `many:N` (so many names),
 *   `wants-ttl`. The first request of a stream says the node.
 * - `ack TYPE …`, `nack TYPE …` the same with the last nonce of the type (or the `nonce:…` given).
 * - `< TYPE a@1 -b` the next response must be this and nothing else. `<later` may take a while: a timer must pass.
 * - `quiet` nothing has been said that was not taken.
 * - `reconnect`, `client NAME [NODE]`, `pause`, `resume`, `pad N`, `delete`, `ends CODE`.
 */
import type { Variant } from './client.ts';
import type { Rule } from './rules.ts';

export interface Story {
  readonly title: string;
  readonly rule: Rule;
  readonly variant: Variant;
  readonly script: readonly string[];
  /** how long a push waits for an ACK; default: longer than any test */
  readonly holdMs?: number;
  readonly maxSubscriptions?: number;
}

type Extra = Pick<Story, 'holdMs' | 'maxSubscriptions'>;

/** The stories of one rule in one variant: title → script. */
export function storiesOf(
  variant: Variant,
  rule: Rule,
  scripts: Readonly<Record<string, string>>,
  extra: Extra = {},
): readonly Story[] {
  return Object.entries(scripts).map(([title, script]) => ({
    title,
    rule,
    variant,
    script: script
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== ''),
    ...extra,
  }));
}

/** Scripts that read the same in both variants: only what a client sends without names. */
export function inBothVariants(
  rule: Rule,
  scripts: Readonly<Record<string, string>>,
  extra: Extra = {},
): readonly Story[] {
  return (['delta', 'sotw'] as const).flatMap((variant) => storiesOf(variant, rule, scripts, extra));
}
