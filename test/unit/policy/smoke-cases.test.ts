import { describe, expect, it } from 'vitest';
import type { Json } from '../../../src/core/json.ts';
import { type Host, runCases } from '../../../src/policy/smoke-cases.ts';

const SOURCE = {
  entrypoints: ['p/allow'],
  smoke: [{ input: 1, result: 1 }, { input: 2, result: 2 }, { input: 3 }],
};
const echo: Host = (_entrypoint, input) => (input === 3 ? undefined : input);

describe('smoke cases', () => {
  it('are evaluated by both hosts, and right where both say what is expected', () => {
    const asked: [host: string, input: Json][] = [];
    const told =
      (host: string): Host =>
      (entrypoint, input) => {
        asked.push([host, input]);
        return echo(entrypoint, input);
      };
    let cases = 0;
    expect(runCases(SOURCE, { ours: told('ours'), theirs: told('theirs') }, () => (cases += 1))).toEqual([]);
    expect(asked).toEqual(
      [1, 2, 3].flatMap((input) => [
        ['ours', input],
        ['theirs', input],
      ]),
    );
    expect(cases).toBe(3);
  });

  it('fail where the second host alone says otherwise, or fails, and say that it was that one', () => {
    const theirs: Host = (_entrypoint, input) => {
      if (input === 1) throw new Error('any');
      return 2;
    };
    expect(runCases(SOURCE, { ours: echo, theirs }, () => {})).toEqual([
      {
        pointer: '/smoke/0',
        code: 'smoke_failed',
        message: 'expected 1, and p/allow failed: any, on @open-policy-agent/opa-wasm',
      },
      {
        pointer: '/smoke/2',
        code: 'smoke_failed',
        message: 'expected undefined, and p/allow says 2, on @open-policy-agent/opa-wasm',
      },
    ]);
  });

  it('do not ask the second host, which has no budget, where ours has failed', () => {
    const theirs: Host = () => {
      throw new Error('asked');
    };
    const ours: Host = () => 'other';
    const messages = runCases(SOURCE, { ours, theirs }, () => {}).map(({ message }) => message);
    expect(messages).toHaveLength(3);
    expect(messages.join()).not.toContain('asked');
  });
});
