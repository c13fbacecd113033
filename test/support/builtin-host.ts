/** Built-ins answered as production answers them: in TypeScript, or by OPA's own code in the toolchain's module. */
import type { BuiltinContext } from '../../src/builtins/builtin.ts';
import { callBuiltin, IMPLEMENTED } from '../../src/builtins/call.ts';
import { BUILTIN_SOURCES } from '../../src/builtins/table.ts';
import { smallAnswer } from '../../src/policy/all-builtins.ts';
import { builtinName, type SmallAnswer } from '../../src/policy/builtin-port.ts';
import { type Instance, startInstance } from '../../src/rego/instance.ts';
import type { Answer, BuiltinResult, RegoIssue } from '../../src/rego/messages.ts';

export interface BuiltinHost {
  readonly nowNs: string;
  /** The next evaluation. */
  begin(): void;
  /** @param name  as the module imports it */
  answer(name: string, args: readonly string[]): string | undefined;
  /** @param name  as the module imports it */
  small(name: string): SmallAnswer | undefined;
  /** @throws BuiltinEnded  what OPA says in strict mode, too */
  answerStrictly(name: string, args: readonly string[]): string | undefined;
}

/** What ends an evaluation, with OPA's code. */
export class BuiltinEnded extends Error {
  readonly issue: RegoIssue;
  constructor(issue: RegoIssue) {
    super(issue.message);
    this.issue = issue;
  }
}

const NOW_NS = 1_700_000_000_123_456_789n;

export function createBuiltinHost(): BuiltinHost {
  const artefact = new URL('../../src/rego/toolchain.wasm.br', import.meta.url);
  const instance: Instance = startInstance(artefact, 512);
  let context = newContext();

  function ask(name: string, args: readonly string[]): BuiltinResult {
    const request = { do: 'builtin', name, args, nowNs: String(NOW_NS) };
    const { result, error } = JSON.parse(instance.call(JSON.stringify(request))) as Answer;
    if (result === undefined) throw new Error(error);
    const said = result as BuiltinResult;
    if (said.halt !== undefined) throw new BuiltinEnded(said.halt);
    return said;
  }

  return {
    nowNs: String(NOW_NS),
    begin() {
      context = newContext();
    },
    answer(imported, args) {
      const name = builtinName(imported);
      const source = BUILTIN_SOURCES.get(name);
      return IMPLEMENTED.has(name) && source !== 'go'
        ? callBuiltin(name, args, context)
        : ask(name, args).text;
    },
    small: (imported) => smallAnswer(builtinName(imported)),
    answerStrictly(imported, args) {
      const { text, error } = ask(builtinName(imported), args);
      if (error !== undefined) throw new BuiltinEnded(error);
      return text;
    },
  };
}

function newContext(): BuiltinContext {
  return {
    nowNs: NOW_NS,
    randomBytes: (count) => new Uint8Array(count).fill(7),
    said: new Map(),
    answered: new Map(),
    sent: new Map(),
    charge: () => {},
  };
}
