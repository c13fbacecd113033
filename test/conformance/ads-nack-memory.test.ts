/**
 * What a node has refused over several streams, in both variants of the protocol: told to clients that keep what they
 * have accepted and say so when they come back, as Envoy does.
 */
import { describe, expect, it } from 'vitest';
import { deltaVariant } from '../../src/xds/delta-variant.ts';
import { createRefusals, type Refusals } from '../../src/xds/refusals.ts';
import {
  RESOURCE_TYPES,
  type ResourceType,
  resourceTypeOf,
  TYPE_URLS,
} from '../../src/xds/resource-types.ts';
import { sotwVariant } from '../../src/xds/sotw-variant.ts';
import { type AdsStory, aSnapshot, tellStory, type Versions } from '../support/ads-story.ts';

type World = Partial<Record<ResourceType, Versions>>;
const WHOLE: readonly ResourceType[] = ['cluster', 'listener'];
const NAMES: Partial<Record<ResourceType, readonly string[]>> = { endpoints: ['a'], routes: ['r'] };

interface Client {
  /** a new stream; what the process keeps of the node stays, what the client has stays unless it is started anew */
  connect(restarted?: boolean): void;
  world(world: World): void;
  /** all that is sent, for example `listener l=2`; answered at once */
  readonly heard: string[];
  readonly has: Map<ResourceType, Map<string, string>>;
  /** Runs what another client has accepted, of another process. */
  become(other: Client): void;
  readonly versions: Map<ResourceType, string>;
  readonly events: () => readonly string[];
  refused(): readonly ResourceType[];
  readonly refusals: Refusals;
}

/** @param refuses  `listener l=2`: a response that brings this is refused as a whole */
function aClient(protocol: 'delta' | 'sotw', refuses: ReadonlySet<string>): Client {
  const refusals = createRefusals();
  const has = new Map<ResourceType, Map<string, string>>(RESOURCE_TYPES.map((type) => [type, new Map()]));
  const versions = new Map<ResourceType, string>();
  const heard: string[] = [];
  let world: World = {};
  let send: (
    type: ResourceType,
    change: { nonce?: string; error?: { code: number; message: string } },
  ) => void;
  let story: Pick<AdsStory<never>, 'fresh' | 'events'> & {
    stream: Pick<AdsStory<never>['stream'], 'offer' | 'refused'>;
  };

  const answerAll = (): void => {
    for (let pushes = story.fresh(); pushes.length > 0; pushes = story.fresh()) {
      for (const { typeUrl, nonce, version, resources, removed } of pushes) {
        const type = resourceTypeOf(typeUrl) as ResourceType;
        const brought = resources.map((each) => `${type} ${each.name}=${each.version}`);
        const mine = has.get(type) as Map<string, string>;
        const news = resources.filter((each) => mine.get(each.name) !== each.version);
        heard.push(
          ...news.map((each) => `${type} ${each.name}=${each.version}`),
          ...removed.map((name) => `${type} -${name}`),
        );
        if (brought.some((each) => refuses.has(each))) {
          send(type, { nonce, error: { code: 3, message: 'no' } });
          continue;
        }
        if (protocol === 'sotw' && WHOLE.includes(type)) mine.clear();
        if (protocol === 'delta') for (const name of removed) mine.delete(name);
        for (const each of resources) mine.set(each.name, each.version);
        versions.set(type, version);
        send(type, { nonce });
      }
    }
  };
  const connect = (restarted = false): void => {
    if (restarted) for (const each of [versions, ...has.values()]) each.clear();
    if (protocol === 'delta') {
      const delta = tellStory(deltaVariant, undefined, undefined, refusals);
      const started = new Set<ResourceType>();
      send = (type, { nonce = '', error }) => {
        const first = !started.has(type);
        started.add(type);
        delta.stream.request({
          nodeId: '',
          typeUrl: TYPE_URLS[type],
          subscribe: first ? (NAMES[type] ?? []) : [],
          unsubscribe: [],
          initialVersions: first ? Object.fromEntries(has.get(type) ?? []) : {},
          nonce,
          ...(error && { error }),
        });
      };
      story = delta;
    } else {
      const sotw = tellStory(sotwVariant, undefined, undefined, refusals);
      send = (type, { nonce = '', error }) =>
        sotw.stream.request({
          nodeId: '',
          typeUrl: TYPE_URLS[type],
          names: NAMES[type] ?? [],
          version: versions.get(type) ?? '',
          nonce,
          ...(error && { error }),
        });
      story = sotw;
    }
    story.stream.offer(aSnapshot(world));
    for (const type of ['cluster', 'endpoints', 'listener', 'routes'] as const) {
      send(type, {});
      answerAll();
    }
  };
  return {
    connect,
    world(next) {
      world = next;
      const snapshot = aSnapshot(next);
      refusals.keep(snapshot);
      story.stream.offer(snapshot);
      answerAll();
    },
    heard,
    has,
    versions,
    become(other) {
      for (const [type, theirs] of other.has) has.set(type, new Map(theirs));
      for (const [type, theirs] of other.versions) versions.set(type, theirs);
    },
    events: () => story.events(),
    refused: () => story.stream.refused(),
    refusals,
  };
}

const GOOD: World = { cluster: { a: '1' }, endpoints: { a: '1' }, listener: { l: '1' }, routes: { r: '1' } };
const count = (heard: readonly string[], what: string): number =>
  heard.filter((each) => each === what).length;
/** where `connect` reads no world yet: the first one comes first */
const settled = (protocol: 'delta' | 'sotw', refuses: string, world = GOOD): Client => {
  const client = aClient(protocol, new Set([refuses]));
  client.connect();
  client.world(world);
  return client;
};

describe.each(['delta', 'sotw'] as const)(
  'a node that has refused a version and comes back, %s',
  (protocol) => {
    it.each([
      ['a changed listener', 'listener l=2', { ...GOOD, listener: { l: '2' } }],
      ['a new listener', 'listener m=1', { ...GOOD, listener: { l: '1', m: '1' } }],
      ['a changed cluster', 'cluster a=2', { ...GOOD, cluster: { a: '2' } }],
      ['routes that have changed', 'routes r=2', { ...GOOD, routes: { r: '2' } }],
    ] as const)('is not sent it again, keeps what it had, and is shown as refusing: %s', (_, bad, world) => {
      const client = settled(protocol, bad);
      client.world(world);
      expect(count(client.heard, bad)).toBe(1);
      const [type] = bad.split(' ') as [ResourceType];
      const before = structuredClone(client.has);
      for (let time = 0; time < 3; time += 1) {
        client.connect();
        expect(client.events()).toContain('recalled');
        expect(client.refused()).toEqual([type]);
        expect(client.refusals.typesOf(aSnapshot(world))).toEqual([type]);
      }
      expect(count(client.heard, bad)).toBe(1);
      expect(client.has).toEqual(before);
    });

    it('takes the next version, which clears it', () => {
      const client = settled(protocol, 'listener l=2');
      client.world({ ...GOOD, listener: { l: '2' } });
      client.connect();
      client.world({ ...GOOD, listener: { l: '3' } });
      expect(client.has.get('listener')?.get('l')).toBe('3');
      expect(client.refused()).toEqual([]);
      expect(client.refusals.typesOf(aSnapshot({ ...GOOD, listener: { l: '3' } }))).toEqual([]);
      // and is told a version that it refused once, when that is what it should have again
      client.world({ ...GOOD, listener: { l: '2' } });
      expect(count(client.heard, 'listener l=2')).toBe(2);
    });

    it('is told what has changed meanwhile, and what is gone goes when nothing is refused any more', () => {
      const client = settled(protocol, 'listener l=2', { ...GOOD, listener: { l: '1', k: '1', j: '1' } });
      client.world({ ...GOOD, listener: { l: '2', k: '1', j: '1' } });
      client.world({ ...GOOD, listener: { l: '2', k: '1', j: '1' }, routes: { r: '9' } });
      const refusals = client.refusals;
      client.heard.length = 0;
      // the world moves on while there is no stream
      const away: World = { ...GOOD, listener: { l: '2', j: '2' }, routes: { r: '9' } };
      refusals.keep(aSnapshot(away));
      client.connect();
      client.world(away);
      expect(count(client.heard, 'listener l=2')).toBe(0);
      expect(Object.fromEntries(client.has.get('listener') ?? [])).toMatchObject({ l: '1', j: '2' });
      expect(client.has.get('routes')?.get('r')).toBe('9');
    });

    it('is told it when it was started anew: it has nothing to fall back to, and the cause may be gone', () => {
      const refuses = new Set(['listener l=2']);
      const client = aClient(protocol, refuses);
      client.connect();
      client.world(GOOD);
      client.world({ ...GOOD, listener: { l: '2' } });
      client.connect(true);
      expect(count(client.heard, 'listener l=2')).toBe(2);
      expect(client.events()).not.toContain('recalled');
      refuses.clear();
      client.connect(true);
      expect(client.has.get('listener')?.get('l')).toBe('2');
      expect(client.refusals.typesOf(aSnapshot({ ...GOOD, listener: { l: '2' } }))).toEqual([]);
    });

    it('is told it when it runs something else by now: another process has served it', () => {
      const client = settled(protocol, 'listener l=2');
      client.world({ ...GOOD, listener: { l: '2' } });
      client.become(settled(protocol, 'listener l=2', { ...GOOD, listener: { l: '0' } }));
      client.connect();
      expect(count(client.heard, 'listener l=2')).toBe(2);
      expect(client.has.get('listener')?.get('l')).toBe('0');
    });
  },
);
