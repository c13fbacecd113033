/** From a call to a commit of the journal: who did it, under which id, and what a repeated call answers. */
import { toCanonicalJson } from '../core/canonical-json.ts';
import type { Clock } from '../core/clock.ts';
import { type Digest, sha256 } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import type { Position } from '../core/position.ts';
import type { Changed, Follower, Writer } from '../journal/fold.ts';
import type { CommitId, Draft, Journal } from '../journal/journal.ts';
import type { RandomBytes } from '../journal/random.ts';
import type { Call } from './endpoint.ts';
import type { ApiToken, TokenState } from './token-state.ts';
import { requireUsable } from './tokens.ts';

export interface ChangeDeps {
  readonly writer: Writer;
  readonly journal: Pick<Journal, 'read'>;
  readonly follower: Pick<Follower, 'sync'>;
  readonly tokens: TokenState;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

interface Prepared<T> {
  readonly drafts: readonly [Draft, ...Draft[]];
  readonly result: T;
}

/** The longest commit that a POST makes: the use of a one-time token and the token that it issues. */
const MAX_POST_ENTRIES = 2;

/** Appends what `prepare` answers. It runs at the head, and again when somebody else was faster. */
export async function commitChange<T>(
  deps: ChangeDeps,
  call: Pick<Call<unknown, unknown, unknown>, 'caller' | 'signal'>,
  prepare: () => Prepared<T>,
  id: CommitId = `call:${Buffer.from(deps.random(16)).toString('hex')}`,
): Promise<Changed<T>> {
  const guarded = (): Prepared<T> => {
    // The token may have been revoked since the call came in, also by the change that was faster.
    requireUsable(deps.tokens.get(call.caller.id), deps.clock);
    return prepare();
  };
  return deps.writer.change({ id, actor: actorOf(call.caller), prepare: guarded }, call.signal);
}

/** What a POST left in the journal: now, or when the same call was made before. */
interface Posted {
  readonly replayed: boolean;
  readonly position: Position;
  /** body of the entry that the POST is about, and when it was appended; of a replay only */
  readonly stored?: { readonly body: JsonObject; readonly at: string };
}

/**
 * Commits at most once per Idempotency-Key. The commit id is derived from caller, route and key; the entry carries a
 * digest of the request, so that the key cannot stand for another one.
 *
 * @param prepare  gets that digest and puts it into its entry as `request`
 * @throws Failure idempotency_key_reused
 */
export async function commitOnce(
  deps: ChangeDeps,
  call: Pick<Call<unknown, unknown, Json>, 'caller' | 'signal' | 'body' | 'idempotencyKey'>,
  route: string,
  prepare: (request: Digest) => readonly [Draft, ...Draft[]],
): Promise<Posted> {
  const request = sha256(toCanonicalJson(call.body));
  const prepareOnce = (): Prepared<undefined> => ({ drafts: prepare(request), result: undefined });
  if (call.idempotencyKey === undefined) {
    const { position } = await commitChange(deps, call, prepareOnce);
    return { replayed: false, position };
  }
  const id = `key:${sha256(toCanonicalJson([actorOf(call.caller), route, call.idempotencyKey])).slice(7)}`;
  const changed = await commitChange(deps, call, prepareOnce, id);
  return changed.replayed
    ? replay(deps.journal, id, changed.position, request)
    : { replayed: false, position: changed.position };
}

async function replay(
  journal: Pick<Journal, 'read'>,
  id: CommitId,
  position: Position,
  request: Digest,
): Promise<Posted> {
  const commits = await journal.read(Math.max(0, position.seq - MAX_POST_ENTRIES), MAX_POST_ENTRIES);
  for (const { entry, body: bytes } of commits.find((commit) => commit.id === id)?.entries ?? []) {
    const body: unknown = bytes && JSON.parse(Buffer.from(bytes).toString('utf8'));
    if (!isJsonObject(body) || body['request'] === undefined) continue;
    if (body['request'] === request) return { replayed: true, position, stored: { body, at: entry.at } };
    throw new Failure('idempotency_key_reused', 'the same Idempotency-Key came with another body before');
  }
  throw new Failure('already_exists', 'the same call was made before, and its answer has been erased');
}

function actorOf(caller: ApiToken): string {
  return `token:${caller.id}`;
}
