import { RegoObject, toNumber } from '../builtins/value.ts';
import { writeText } from '../builtins/write-text.ts';

/** An error of `http.send`: its expression is undefined, or with `raise_error: false` it is the answer. */
export class SendError extends Error {
  readonly code: 'eval_http_send_internal_error' | 'eval_http_send_network_error';

  /** @param isOfNetwork  a request was made */
  constructor(message: string, isOfNetwork = false) {
    super(message);
    this.code = isOfNetwork ? 'eval_http_send_network_error' : 'eval_http_send_internal_error';
  }
}

/** @returns what `http.send` says in place of a response, as Rego text */
export function toErrorAnswer({ code, message }: SendError): string {
  const error = new RegoObject([
    ['code', code],
    ['message', message],
  ]);
  return writeText(
    new RegoObject([
      ['error', error],
      ['status_code', toNumber(0)],
    ]),
  );
}
