/** `chancery check`: whether the modules parse, and compile as they would when they are published. */
import { Failure } from '../core/failure.ts';
import { linesOf, toErrors } from './author-issues.ts';
import { readSource, withToolchain } from './author-source.ts';
import { complain } from './output.ts';

export interface CheckFlags {
  readonly format: 'pretty' | 'json';
  readonly ignore: readonly string[];
  readonly maxErrors: number;
  readonly strict?: boolean;
}

/** @returns 0, or 1 when there is an error; errors are on standard error, in JSON too, as with `opa` */
export async function checkCommand(paths: readonly string[], flags: CheckFlags): Promise<number> {
  try {
    await withToolchain(async (toolchain) => {
      const source = await readSource(paths, flags.ignore, toolchain);
      await toolchain.check(source);
      if (flags.strict === true) await toolchain.checkStrictly(source);
    });
    return 0;
  } catch (thrown) {
    if (!(thrown instanceof Failure)) throw thrown;
    const most = flags.maxErrors > 0 ? flags.maxErrors : thrown.issues.length;
    const failure = new Failure(thrown.code, thrown.detail, { issues: thrown.issues.slice(0, most) });
    if (flags.format === 'json') complain(JSON.stringify(toErrors(failure), undefined, 2));
    else for (const line of linesOf(failure)) complain(line);
    return 1;
  }
}
