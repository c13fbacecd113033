import { destination, pino } from 'pino';

export type LogFields = Readonly<Record<string, unknown>>;

/** Structured log: the message is a constant sentence, what varies goes into the fields. */
export interface Logger {
  /** below this nothing is written; undefined: everything is */
  readonly level?: string;
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  child(fields: LogFields): Logger;
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Whether a line of this level would be written: asked before a costly line is made. */
export function writesLevel(logger: Logger, level: Exclude<LogLevel, 'silent'>): boolean {
  const least = LOG_LEVELS.findIndex((each) => each === logger.level);
  return LOG_LEVELS.indexOf(level) >= least;
}

/** JSON lines on standard error; standard output belongs to the commands. */
export function createLogger(level: LogLevel): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: pino.stdSerializers.errWithCause, error: pino.stdSerializers.errWithCause },
    },
    destination({ dest: 2, sync: true }),
  );
}

export const silentLogger: Logger = {
  level: 'silent',
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};
