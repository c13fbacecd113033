/** From a call to a commit of the journal: who did it, under which id, and what a repeated call answers. */

import { toCanonicalJson } from '../core/canonical-json.ts';
import type { Clock } from '../core/clock.ts';
import { type Digest, sha256 } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import { isJsonObject } from '../core/json.ts';
import { parseJson } from '../core/parse-json.ts';
import type { Position } from '../core/position.ts';
import type { Follower, Writer } from '../journal/fold.ts';
import type { CommitId, Draft, Journal, StoredEntry } from '../journal/journal.ts';
import { MAX_COMMIT_ENTRIES } from '../journal/limits.ts';
import type { RandomBytes } from '../journal/random.ts';
import type { Call, EarlierCall, Endpoint } from './endpoint.ts';
import type { ApiToken, TokenState } from './token-state.ts';
import { requireUsable } from './tokens.ts';

export interface ChangeDeps {
  readonly writer: Writer;
  readonly journal: Pick<Journal, 'find' | 'read'>;
  readonly follower: Pick<Follower, 'sync'>;
  readonly tokens: TokenState;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

interface Prepared<T> {
  readonly drafts: readonly [Draft, ...Draft[]];
  readonly result: T;
}

type ChangingCall = Pick<
  Call<unknown, unknown, unknown>,
  'caller' | 'signal' | 'operation' | 'params' | 'body' | 'idempotencyKey'
>;

/**
 * Appends what `prepare` answers. It runs at the head, and again when somebody else was faster. With an
 * Idempotency-Key the commit can be made once only; its last entry carries a digest of the request as `request`.
 */
export async function commitChange<T>(
  deps: ChangeDeps,
  call: ChangingCall,
  prepare: () => Prepared<T>,
): Promise<{ readonly position: Position; readonly result: T }> {
  const guarded = (): Prepared<T> => {
    // The token may have been revoked since the call came in, also by the change that was faster.
    requireUsable(deps.tokens.get(call.caller.id), deps.clock);
    const prepared = prepare();
    return call.idempotencyKey === undefined
      ? prepared
      : { ...prepared, drafts: withRequest(prepared, call) };
  };
  const id = keyedId(call) ?? `call:${Buffer.from(deps.random(16)).toString('hex')}`;
  const changed = await deps.writer.change({ id, actor: actorOf(call), prepare: guarded }, call.signal);
  if (changed.replayed) return alreadyMade();
  return changed;
}

/**
 * An endpoint that acts at most once per caller, operation, object and Idempotency-Key. A repeated call is answered
 * from the journal, whichever process it comes to and whatever has happened to the one that was asked first. A call
 * that failed, or found nothing to change, has left nothing and is made again.
 *
 * Its handler throws Failure idempotency_key_reused, too: the key came with another body before.
 */
export function answeredOnce(deps: ChangeDeps, form: Endpoint): Endpoint {
  if (form.method === 'GET' || form.own !== undefined) return form;
  const { handle, replay = alreadyMade } = form;
  const once: Endpoint['handle'] = async (call) => {
    if (call.idempotencyKey === undefined) return handle(call);
    const before = await findEarlier(deps, call);
    if (before !== undefined) return replay(call, before);
    try {
      return await handle(call);
    } catch (thrown) {
      // The same call may have been faster, here or in another process: then its change is what was in the way.
      const meanwhile = await findEarlier(deps, call);
      if (meanwhile === undefined) throw thrown;
      return replay(call, meanwhile);
    }
  };
  return { ...form, handle: once };
}

function alreadyMade(): never {
  throw new Failure('already_exists', 'the same call was made before');
}

async function findEarlier(deps: ChangeDeps, call: ChangingCall): Promise<EarlierCall | undefined> {
  const id = keyedId(call);
  if (id === undefined) return undefined;
  const position = await deps.journal.find(id);
  if (position === undefined) return undefined;
  const at = await whenAsked(deps.journal, id, position, requestOf(call));
  await deps.follower.sync(call.signal);
  return { position, at };
}

/** @returns `at` of the entry that carries this request */
async function whenAsked(
  journal: Pick<Journal, 'read'>,
  id: CommitId,
  position: Position,
  request: Digest,
): Promise<string> {
  for (const { entry, body: bytes } of await entriesOf(journal, id, position)) {
    const body: unknown = bytes && parseJson(Buffer.from(bytes).toString('utf8'));
    if (!isJsonObject(body) || body['request'] === undefined) continue;
    if (body['request'] === request) return entry.at;
    throw new Failure('idempotency_key_reused', 'the same Idempotency-Key came with another body before');
  }
  throw new Failure('already_exists', 'the same call was made before, and its answer has been erased');
}

/** Most commits have an entry or two: only one that is not found so is looked for further back. */
async function entriesOf(
  journal: Pick<Journal, 'read'>,
  id: CommitId,
  { seq }: Position,
): Promise<readonly StoredEntry[]> {
  for (const length of [2, MAX_COMMIT_ENTRIES]) {
    let after = Math.max(0, seq - length);
    while (after < seq) {
      const commits = await journal.read(after, length);
      const found = commits.find((commit) => commit.id === id);
      if (found !== undefined) return found.entries;
      const last = commits.at(-1)?.entries.at(-1)?.entry.seq;
      if (last === undefined) break;
      after = last;
    }
  }
  return [];
}

function withRequest<T>({ drafts }: Prepared<T>, call: ChangingCall): Prepared<T>['drafts'] {
  const [first, ...more] = drafts;
  const last = more.pop();
  const marked = (draft: Draft): Draft => ({ ...draft, body: { ...draft.body, request: requestOf(call) } });
  return last === undefined ? [marked(first)] : [first, ...more, marked(last)];
}

/** undefined: the call has no key */
function keyedId(call: ChangingCall): CommitId | undefined {
  const { operation, params, idempotencyKey } = call;
  if (idempotencyKey === undefined) return undefined;
  const named = Object.values((params ?? {}) as Readonly<Record<string, string>>);
  return `key:${sha256(toCanonicalJson([actorOf(call), operation, ...named, idempotencyKey])).slice(7)}`;
}

function requestOf({ body }: ChangingCall): Digest {
  return sha256(toCanonicalJson([body ?? null]));
}

function actorOf({ caller }: { readonly caller: ApiToken }): string {
  return `token:${caller.id}`;
}
