/** Commits changes of issuers: each function checks one change against the present state and answers what to append. */
import { Failure, type FailureIssue } from '../core/failure.ts';
import { schemaErrors } from '../core/schema-errors.ts';
import type { Draft } from '../journal/journal.ts';
import { type Issuer, issuerSchema } from './model.ts';
import type { IssuersView } from './state.ts';

const NAME = /^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$/;

/**
 * Two records of one `iss` would leave open which rules hold: then its tokens would not be believed at all.
 *
 * @throws Failure registry_rejected  with every issue and its JSON Pointer
 */
export function putIssuer(view: IssuersView, name: string, issuer: Issuer): Draft {
  refuseIf([...nameIssues(name), ...formIssues(issuer)]);
  const twin = view.list().find((other) => other.name !== name && other.value.issuer === issuer.issuer);
  if (twin !== undefined) {
    refuseIf([{ pointer: '/issuer', code: 'issuer_taken', message: `issuer "${twin.name}" has it already` }]);
  }
  return { kind: 'issuer.put', body: { name, issuer } };
}

/** @throws Failure not_found */
export function deleteIssuer(view: IssuersView, name: string): Draft {
  if (view.get(name) === undefined) throw new Failure('not_found', `there is no issuer "${name}"`);
  return { kind: 'issuer.delete', body: { name } };
}

function nameIssues(name: string): readonly FailureIssue[] {
  return NAME.test(name) ? [] : [{ pointer: '', message: `"${name}" is not a name` }];
}

/** One issue per place. */
function formIssues(issuer: unknown): readonly FailureIssue[] {
  const messages = new Map<string, string>();
  for (const { instancePath, message } of schemaErrors(issuerSchema, issuer)) {
    if (!messages.has(instancePath)) messages.set(instancePath, message);
  }
  return [...messages].map(([pointer, message]) => ({ pointer, message }));
}

function refuseIf(issues: readonly FailureIssue[]): void {
  if (issues.length > 0) throw new Failure('registry_rejected', 'the issuer was refused', { issues });
}
