import { Failure } from '../core/failure.ts';

/**
 * A part of the request that cannot be parsed as opa-envoy-plugin parses it.
 *
 * `detail` quotes nothing of the request; `peerText` is what the peer says, which does, and goes to nobody but the
 * client that sent it.
 */
export class ParseFailure extends Failure {
  readonly peerText: string;

  constructor(detail: string, peerText: string = detail) {
    super('request_malformed', detail);
    this.peerText = peerText;
  }
}

/** What a policy sees in `input.parse_error`, where it asks for that. */
export interface ParseError {
  readonly part: 'path' | 'query' | 'body';
  readonly message: string;
}
