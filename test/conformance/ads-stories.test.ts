/**
 * Conformance of our own: stories of the xDS protocol, told over the real gRPC port by a client that shares no code
 * with the server, each about one rule of the protocol.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { STORIES } from './ads-stories/all.ts';
import { RULES, type Rule } from './ads-stories/rules.ts';
import { tell } from './ads-stories/tell.ts';

const MIN_STORIES = 250;
const rules = Object.keys(RULES) as Rule[];
const told = new Map<Rule, number>();

describe('the table of stories', () => {
  it(`has at least ${MIN_STORIES}, no two alike, and leaves no rule without one`, () => {
    const scripts = new Set(STORIES.map(({ variant, script }) => `${variant}\n${script.join('\n')}`));
    expect(scripts.size).toBeGreaterThanOrEqual(MIN_STORIES);
    expect(scripts.size).toBe(STORIES.length);
    expect(rules.filter((rule) => !STORIES.some((story) => story.rule === rule))).toEqual([]);
  });

  it('holds each client to something', () => {
    expect(STORIES.filter(({ script }) => !script.some((line) => /^(<|quiet|ends)/.test(line)))).toEqual([]);
  });
});

for (const rule of rules) {
  describe.concurrent(`${rule}: ${RULES[rule]}`, () => {
    for (const story of STORIES.filter((each) => each.rule === rule)) {
      it(`${story.variant}: ${story.title}`, async () => {
        await tell(story);
        told.set(rule, (told.get(rule) ?? 0) + 1);
      });
    }
  });
}

afterAll(() => {
  const rows = rules.map(
    (rule) => `${String(told.get(rule) ?? 0).padStart(5)}  ${rule.padEnd(18)} ${RULES[rule]}`,
  );
  const sum = [...told.values()].reduce((a, b) => a + b, 0);
  process.stdout.write(
    `\nADS stories that were told, by rule:\n${rows.join('\n')}\n${String(sum).padStart(5)}  in all\n`,
  );
});
