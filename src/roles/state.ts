/** Everything that is folded from the journal, room by room. */
import { createTokenState, type TokenState } from '../admin/token-state.ts';
import { createEnrolments, type Enrolments } from '../identity/enrolment-state.ts';
import { createIssuers, type Issuers } from '../identity/state.ts';
import type { Reducer } from '../journal/fold.ts';
import { createPolicyState, type PolicyState } from '../policy/state.ts';
import { createRegistry, type Registry } from '../registry/state.ts';

export interface State {
  readonly registry: Registry;
  readonly issuers: Issuers;
  readonly policies: PolicyState;
  readonly tokens: TokenState;
  readonly enrolments: Enrolments;
}

/** @param instance  name of the instance, once it is known */
export function createState(instance?: () => string): State {
  return {
    registry: createRegistry(instance),
    issuers: createIssuers(),
    policies: createPolicyState(),
    tokens: createTokenState(),
    enrolments: createEnrolments(),
  };
}

export function reducersOf(state: State): readonly Reducer[] {
  return Object.values<{ readonly reducer: Reducer }>({ ...state }).map(({ reducer }) => reducer);
}
