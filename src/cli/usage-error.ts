import { Failure } from '../core/failure.ts';

/** A command line that says nothing that could be done: exit code 2, as for one that cannot be read. */
export class UsageError extends Failure {
  constructor(detail: string) {
    super('request_malformed', detail);
  }
}
