/** What the commands of `chancery store` need of all rooms: the state, and what of a lost part stays revoked. */
import { keptTokenRevocations } from '../admin/kept-revocations.ts';
import { keptEnrolmentRevocations, keptIssuerRevocations } from '../identity/kept-revocations.ts';
import { type AdoptionPlan, type PlanOptions, planAdoption, type Revocation } from '../journal/adopt.ts';
import type { Reducer } from '../journal/fold.ts';
import type { EntryKind } from '../journal/kinds.ts';
import { keptRegistryRevocations } from '../registry/kept-revocations.ts';
import { createState, reducersOf, type State } from './state.ts';

type Rule = (fork: State, adopted: State, lost: State, lostAt: string) => readonly Revocation[];

/** In the order in which their revocations are appended. */
const RULES = {
  registry: (fork, adopted, lost, lostAt) =>
    keptRegistryRevocations(fork.registry.view, adopted.registry.view, lost.registry.view, lostAt),
  issuers: (fork, adopted, lost) =>
    keptIssuerRevocations(fork.issuers.view, adopted.issuers.view, lost.issuers.view),
  enrolments: (fork, adopted, lost, lostAt) =>
    keptEnrolmentRevocations(fork.enrolments.view, adopted.enrolments.view, lost.enrolments.view, lostAt),
  tokens: (_fork, adopted, lost) => keptTokenRevocations(adopted.tokens, lost.tokens),
} as const satisfies Record<string, Rule>;

/**
 * Whether an entry of a kind may take something away, and which rule then finds that when it is lost. Every kind has
 * to say so here: one that is forgotten would allow again what somebody had ended.
 *
 * A lost release is gone: what it was to run may be lost with it. `store adopt` says which ones they are.
 */
export const REVOKED_BY = {
  'journal.genesis': 'takes nothing away',
  'journal.adopt': 'takes nothing away',
  'token.issue': 'takes nothing away',
  'token.redeem': 'tokens',
  'token.revoke': 'tokens',
  'policy.revision': 'takes nothing away',
  'policy.release': 'takes nothing away',
  'settings.put': 'registry',
  'issuer.put': 'issuers',
  'issuer.delete': 'issuers',
  'registry.member.put': 'registry',
  'registry.member.delete': 'registry',
  'registry.app.put': 'registry',
  'registry.app.delete': 'registry',
  'registry.group.put': 'registry',
  'registry.group.delete': 'registry',
  'registry.service.put': 'registry',
  'registry.service.delete': 'registry',
  'registry.grant.put': 'registry',
  'registry.grant.delete': 'registry',
  'registry.node.put': 'registry',
  'registry.node.delete': 'registry',
  'registry.node-group.put': 'registry',
  'registry.node-group.delete': 'registry',
  'node.authority.put': 'takes nothing away',
  'node.enrolment.issue': 'enrolments',
  'node.certificate.issue': 'enrolments',
  'node.certificate.revoke': 'enrolments',
} as const satisfies Record<EntryKind, keyof typeof RULES | 'takes nothing away'>;

/** That have folded nothing. */
export function createFreshReducers(): readonly Reducer[] {
  return reducersOf(createState());
}

/** @throws Failure as `planAdoption` */
export function planStoreAdoption(
  options: Omit<PlanOptions<State>, 'createState' | 'revocations'>,
): Promise<AdoptionPlan> {
  return planAdoption({
    ...options,
    createState() {
      const state = createState();
      return { state, reducers: reducersOf(state) };
    },
    revocations: (...states) => Object.values<Rule>(RULES).flatMap((rule) => rule(...states)),
  });
}
