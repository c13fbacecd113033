import type { ServiceError } from '@grpc/grpc-js';
import { aCheckRequest, type CheckClient } from '../../support/check-client.ts';
import { type Answer, fromCheckAnswer, fromRpcError } from './answer.ts';
import type { ContractCase } from './case.ts';

export async function ask(
  client: CheckClient,
  { id, http, attributes, bytes }: ContractCase,
): Promise<Answer> {
  const request = aCheckRequest(http, { ...attributes, context_extensions: { case: id } });
  try {
    return fromCheckAnswer(await (bytes === undefined ? client.check(request) : client.checkBytes(bytes)));
  } catch (thrown) {
    return fromRpcError(thrown as ServiceError);
  }
}

export async function askAll(
  client: CheckClient,
  cases: readonly ContractCase[],
): Promise<Readonly<Record<string, Answer>>> {
  const answers: Record<string, Answer> = {};
  for (const each of cases) answers[each.id] = await ask(client, each);
  return answers;
}
