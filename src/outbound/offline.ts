/** What `http.send` and `net.lookup_ip_addr` say where there is no network: what OPA says when it reaches nobody. */
import { parseText } from '../builtins/parse-text.ts';
import { RegoObject } from '../builtins/value.ts';
import type { NetworkAnswer, NetworkCall } from './network-call.ts';
import { SendError, toErrorAnswer } from './send-error.ts';
import { readRaiseError } from './send-operand.ts';

const NOTHING: NetworkAnswer = Object.freeze({ text: undefined });

export function offlineAnswer({ name, args: [text = 'null'] }: NetworkCall): NetworkAnswer {
  const operand = name === 'http.send' ? parseText(text) : null;
  if (!(operand instanceof RegoObject) || readRaiseError(operand) !== false) return NOTHING;
  return { text: toErrorAnswer(new SendError('there is no network here', true)) };
}
