import type { LogFields, Logger } from '../../src/telemetry/logger.ts';

export interface LogLine extends LogFields {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
}

/** A logger that keeps what it is told. */
export function recordLog(): { readonly logger: Logger; readonly lines: readonly LogLine[] } {
  const lines: LogLine[] = [];
  const create = (bound: LogFields): Logger => {
    const write =
      (level: LogLine['level']) =>
      (fields: LogFields, message: string): void =>
        void lines.push({ ...bound, ...fields, level, message });
    return {
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
      child: (fields) => create({ ...bound, ...fields }),
    };
  };
  return { logger: create({}), lines };
}
