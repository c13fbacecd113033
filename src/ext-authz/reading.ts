import type { GrpcMessages, GrpcReading } from './grpc-body.ts';
import type { ExtAuthzOptions } from './options.ts';

/** How the parts of a request are parsed. */
export interface Reading {
  /** default: `refuse` */
  readonly parseErrors?: 'refuse' | 'input';
  /** default: true; false leaves `parsed_body` and `truncated_body` out */
  readonly parseBodies?: boolean;
  readonly grpc?: GrpcReading;
}

export type ReadingOptions = Pick<ExtAuthzOptions, 'parseErrors' | 'parseBodies' | 'maxInflatedBytes'>;

/** Where Checks are answered and where they are logged: a log must show the input that the policy saw. */
export function readingOf(
  { parseErrors = 'refuse', parseBodies = true, maxInflatedBytes }: ReadingOptions,
  messages: GrpcMessages | undefined,
): Reading {
  return { parseErrors, parseBodies, grpc: { messages, maxInflatedBytes } };
}
