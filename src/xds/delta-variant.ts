/** Incremental xDS: its requests are what a subscription takes, its responses what a subscription sends. */
import type { DeltaRequest } from '../grpc/messages-delta.ts';
import { type AdsVariant, comesWhole } from './ads-variant.ts';

export const deltaVariant: AdsVariant<DeltaRequest> = {
  rulesOf: (type) => ({ impliesAll: comesWhole(type), tellsAbsence: true, answersUnsubscribe: true }),
  eventsOf: (request) => [{ kind: 'request', request }],
  saidOf: ({ initialVersions }) => ({ versions: initialVersions }),
  isFullState: () => false,
};
