/**
 * GET, PUT, DELETE and list of one kind of object. Services, grants, issuers and nodes are all administered in this
 * one way; what makes them different is in their schemas and in what their room refuses.
 */
import { type Static, type TObject, type TSchema, Type } from 'typebox';
import { toCanonicalJson } from '../core/canonical-json.ts';
import type { Digest } from '../core/digest.ts';
import { Failure, type FailureCode } from '../core/failure.ts';
import type { Draft } from '../journal/journal.ts';
import { type ChangeDeps, commitChange } from './changes.ts';
import type { Cursors } from './cursor.ts';
import { type Answer, type Call, type EarlierCall, type Endpoint, endpoint } from './endpoint.ts';
import { pageOf, pageQuerySchema, pageSchema } from './paging.ts';
import { checkPrecondition, toEntityTag } from './precondition.ts';
import { componentRef } from './route-schema.ts';

/** A value and the entry that made it so; the lists are in order of `name`. */
export interface Recorded<T> {
  readonly name: string;
  readonly value: T;
  readonly digest: Digest;
}

/** How a room is asked about its objects and told to change them; `P` are the path parameters that name one. */
interface ObjectPort<P, T> {
  get(params: P): Recorded<T> | undefined;
  /** in any order; of the collection that the parameters in its URL name */
  list(params: Partial<P>): readonly Recorded<T>[];
  /** @throws Failure registry_rejected, with pointers; not_found (the owner) */
  put(params: P, value: T): Draft;
  /** @throws Failure registry_rejected  when others rely on it */
  remove(params: P): Draft | readonly [Draft, ...Draft[]];
}

interface ObjectKind<P extends TObject, V> {
  /** `Service`: the name of its component and of its operations */
  readonly noun: string;
  readonly tag: string;
  /** `/v1/services`, with the parameters of the list */
  readonly url: string;
  /** the parameters that name one; those that are not in `url` come after it */
  readonly params: P;
  readonly schema: TSchema;
  readonly port: ObjectPort<Static<P>, V>;
}

export interface ObjectDeps extends ChangeDeps {
  readonly cursors: Cursors;
}

export function objectEndpoints<P extends TObject, V>(
  kind: ObjectKind<P, V>,
  deps: ObjectDeps,
): readonly Endpoint[] {
  const { noun, tag, params, port } = kind;
  const names = Object.keys(params.properties);
  const ownNames = names.filter((name) => !kind.url.includes(`:${name}`));
  const url = [kind.url, ...ownNames.map((name) => `:${name}`)].join('/');
  const isOwned = ownNames.length < names.length;
  const ownerMissing: readonly FailureCode[] = isOwned ? ['not_found'] : [];
  const value = Type.Unsafe<V>(componentRef(noun, kind.schema));
  const listParams = Type.Omit(params, ownNames);
  const item = Type.Object(
    { name: Type.String(), etag: Type.String({ description: 'as in ETag' }), value },
    { additionalProperties: false },
  );

  return [
    endpoint({
      operationId: `list${noun}s`,
      summary: `List ${tag}`,
      tag,
      scope: 'registry:read',
      method: 'GET',
      url: kind.url,
      ...(isOwned && { params: listParams }),
      query: pageQuerySchema,
      answer: pageSchema(item),
      failures: ownerMissing,
      handle: async (call) =>
        pageOf(call, deps.cursors, port.list(call.params as Partial<Static<P>>), (object) => ({
          name: object.name,
          etag: toEntityTag(object.digest),
          value: object.value,
        })),
    }),
    endpoint({
      operationId: `get${noun}`,
      summary: `Read one of the ${tag}`,
      tag,
      scope: 'registry:read',
      method: 'GET',
      url,
      params,
      answer: value,
      tagged: true,
      failures: ['not_found'],
      handle: async (call) => toAnswer(found(port.get(call.params))),
    }),
    endpoint({
      operationId: `put${noun}`,
      summary: `Create or replace one of the ${tag}`,
      tag,
      scope: 'registry:write',
      method: 'PUT',
      url,
      params,
      body: value,
      answer: value,
      tagged: true,
      condition: 'needed',
      failures: ['registry_rejected', ...ownerMissing],
      handle: (call) =>
        putObject(deps, call, {
          current: () => port.get(call.params),
          draft: () => port.put(call.params, call.body),
        }),
      replay: putBefore,
    }),
    endpoint({
      operationId: `delete${noun}`,
      summary: `Delete one of the ${tag}`,
      tag,
      scope: 'registry:write',
      method: 'DELETE',
      url,
      params,
      condition: 'needed',
      failures: ['not_found', 'registry_rejected'],
      handle: async (call) => {
        const precondition = call.precondition();
        const { position } = await commitChange(deps, call, () => {
          checkPrecondition(precondition, toEntityTag(found(port.get(call.params)).digest));
          return { drafts: toDrafts(port.remove(call.params)), result: undefined };
        });
        return { body: undefined, position };
      },
      replay: (_call, { position }) => ({ body: undefined, position }),
    }),
  ];
}

/**
 * One PUT. A value that is there already is no change: no entry, the same entity tag, no position.
 *
 * @throws Failure precondition_required; object_changed; whatever `draft` refuses
 */
export async function putObject<T>(
  deps: ChangeDeps,
  call: Call<unknown, unknown, T>,
  object: { readonly current: () => Recorded<T> | undefined; readonly draft: () => Draft },
): Promise<Answer<T>> {
  const precondition = call.precondition();
  const check = (): Recorded<T> | undefined => {
    const current = object.current();
    checkPrecondition(precondition, current && toEntityTag(current.digest));
    return current;
  };
  // "Nothing to do" may only be said of the head: this replica could be behind somebody else's change.
  await deps.follower.sync(call.signal);
  const current = check();
  if (current && isSame(current.value, call.body)) return toAnswer(current);
  const { position, result: created } = await commitChange(deps, call, () => ({
    result: check() === undefined,
    drafts: [object.draft()],
  }));
  return { body: call.body, created, etag: toEntityTag(position.digest), position };
}

/** What a PUT answered that made a change. */
export function putBefore<T>(call: Call<unknown, unknown, T>, { position }: EarlierCall): Answer<T> {
  const created = call.precondition().mustNotExist;
  return { body: call.body, created, etag: toEntityTag(position.digest), position };
}

function toDrafts(drafts: Draft | readonly [Draft, ...Draft[]]): readonly [Draft, ...Draft[]] {
  return 'kind' in drafts ? [drafts] : drafts;
}

function toAnswer<T>({ value, digest }: Recorded<T>): Answer<T> {
  return { body: value, etag: toEntityTag(digest) };
}

function found<T>(object: T | undefined): T {
  if (object === undefined) throw new Failure('not_found', 'there is no object of this name');
  return object;
}

function isSame(a: unknown, b: unknown): boolean {
  return toCanonicalJson(a as object) === toCanonicalJson(b as object);
}
