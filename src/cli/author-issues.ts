/** How what is wrong with a policy is told: one line each, with file, line and column, as editors read it. */
import { Failure, type FailureIssue } from '../core/failure.ts';
import type { Json } from '../core/json.ts';
import { complain } from './output.ts';

export function toLine({ file, line, column, code, message }: FailureIssue): string {
  const place = [file, line, column].filter((part) => part !== undefined).join(':');
  return [place, code, message].filter((part) => part !== undefined && part !== '').join(': ');
}

/** As `opa` writes errors in JSON. */
export function toErrors(failure: Failure): Json {
  const issues: readonly FailureIssue[] =
    failure.issues.length > 0 ? failure.issues : [{ message: failure.detail, code: failure.code }];
  const errors = issues.map(({ message, code, file, line, column }) => ({
    message,
    ...(code !== undefined && { code }),
    ...(line !== undefined && { location: { file: file ?? '', row: line, col: column ?? 0 } }),
  }));
  return { errors };
}

/**
 * Runs what an author asked for; a Failure is told line by line.
 *
 * @returns the exit code: 1 for a Failure
 */
export async function telling(action: () => Promise<number>): Promise<number> {
  try {
    return await action();
  } catch (thrown) {
    if (!(thrown instanceof Failure)) throw thrown;
    for (const line of linesOf(thrown)) complain(line);
    return 1;
  }
}

export function linesOf({ issues, detail }: Failure): readonly string[] {
  return issues.length > 0 ? issues.map(toLine) : [`chancery: ${detail}`];
}
