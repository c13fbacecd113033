/** Flags that several commands of policy authors have, and how their values are read. */
import { type Command, InvalidArgumentError, Option } from 'commander';

export function withIgnore(command: Command): Command {
  return command.option(
    '--ignore <pattern>',
    'names of files and folders to leave out, for example .* or *_draft; may be repeated',
    (value, all: string[]) => [...all, ...value.split(',')],
    [],
  );
}

export function withFormat(command: Command, formats: readonly [string, ...string[]]): Command {
  return command.addOption(
    new Option('-f, --format <format>', 'of the output').choices(formats).default(formats[0]),
  );
}

export function toInteger(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

export function toPercent(text: string): number {
  const percent = Number(text);
  if (text.trim() === '' || !(percent >= 0 && percent <= 100)) {
    throw new InvalidArgumentError('It must be between 0 and 100.');
  }
  return percent;
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 };

export function toMilliseconds(text: string): number {
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text) ?? [];
  const milliseconds = Math.round(Number(amount) * (UNITS_MS[unit] ?? Number.NaN));
  if (!(milliseconds > 0)) throw new InvalidArgumentError('It must be a duration, for example 5s.');
  return milliseconds;
}
