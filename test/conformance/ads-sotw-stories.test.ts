/** Protocol stories of state-of-the-world xDS, told to one stream: subscription, full state, order of a push. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SotwRequest } from '../../src/grpc/messages-sotw.ts';
import { type ResourceType, resourceTypeOf, TYPE_URLS } from '../../src/xds/resource-types.ts';
import { systemVersion } from '../../src/xds/snapshot.ts';
import { sotwVariant } from '../../src/xds/sotw-variant.ts';
import { aSnapshot, lastSeq, tellStory, type Versions } from '../support/ads-story.ts';
import { eventually } from '../support/eventually.ts';

function aStream(holdMs?: number, maxSubscriptions?: number) {
  const story = tellStory(sotwVariant, holdMs, maxSubscriptions);
  /** a client says all its names each time */
  const wanted = new Map<ResourceType, readonly string[]>();
  /** what has been sent since the last time, with versions, for example `cluster a=1 b=2` */
  const news = () =>
    story
      .fresh()
      .map(({ typeUrl, resources }) =>
        [
          resourceTypeOf(typeUrl) ?? typeUrl,
          ...resources.map(({ name, version }) => `${name}=${version}`),
        ].join(' '),
      );
  const request = (type: ResourceType, names: readonly string[], change: Partial<SotwRequest> = {}) => {
    wanted.set(type, names);
    story.stream.request({
      nodeId: '',
      typeUrl: TYPE_URLS[type],
      names,
      version: '',
      nonce: '',
      ...change,
    });
    return news();
  };
  const answer = (type: ResourceType, change: Partial<SotwRequest>, names = wanted.get(type) ?? []) =>
    request(type, names, { nonce: story.nonceOf(type), ...change });
  return {
    ...story,
    news,
    /** a request with no nonce, or that of the change */
    request,
    /** accepts the last response of the type, with other names if given; answers what is sent then */
    ack: (type: ResourceType, names?: readonly string[]) => answer(type, {}, names),
    nack: (type: ResourceType, names?: readonly string[]) =>
      answer(type, { error: { code: 3, message: 'no' } }, names),
    world: (types: Partial<Record<ResourceType, Versions>>) => {
      story.stream.offer(aSnapshot(types));
      return news();
    },
  };
}

const FIRST = { cluster: { a: '1' }, endpoints: { a: '1' }, listener: { l: '1' }, routes: { r: '1' } };

/** A stream whose client has everything of the first world, as an Envoy comes to it. */
function aSettledStream(world: Partial<Record<ResourceType, Versions>> = FIRST, holdMs?: number) {
  const story = aStream(holdMs);
  story.world(world);
  for (const type of ['cluster', 'endpoints', 'listener', 'routes'] as const) {
    story.request(type, type === 'endpoints' || type === 'routes' ? Object.keys(world[type] ?? {}) : []);
    story.ack(type);
  }
  story.events();
  return story;
}

describe('a wildcard, state of the world', () => {
  it('begins with a first request without names, for clusters and listeners', () => {
    const story = aStream();
    story.world({ cluster: { a: '1', b: '1' } });
    expect(story.request('cluster', [])).toEqual(['cluster a=1 b=1']);
    expect(story.ack('cluster')).toEqual([]);
    expect(story.request('listener', [])).toEqual(['listener']);
  });

  it('does not begin without names where names are the rule', () => {
    const story = aStream();
    story.world(FIRST);
    expect(story.request('routes', [])).toEqual([]);
    expect(story.request('endpoints', [])).toEqual([]);
  });

  it('begins with "*" for any type', () => {
    const story = aStream();
    story.world({ routes: { a: '1', b: '1' } });
    expect(story.request('routes', ['*'])).toEqual(['routes a=1 b=1']);
  });

  it('is answered in an empty world too, or the client would wait', () => {
    const story = aStream();
    story.world({});
    expect(story.request('cluster', [])).toEqual(['cluster']);
    expect(story.request('routes', ['*'])).toEqual(['routes']);
  });

  it('goes on with every empty list, for as long as no name has been given', () => {
    const story = aSettledStream();
    expect(story.ack('cluster', [])).toEqual([]);
    expect(story.world({ ...FIRST, cluster: { a: '2' } })).toEqual(['cluster a=2', 'endpoints a=1']);
  });

  it('ends with names, and an empty list after them drops everything', () => {
    const story = aSettledStream({ cluster: { a: '1', b: '1' } });
    expect(story.request('cluster', ['a'], { nonce: story.nonceOf('cluster') })).toEqual(['cluster a=1']);
    expect(story.ack('cluster')).toEqual([]);
    expect(story.world({ cluster: { a: '1', b: '2' } })).toEqual([]);
    expect(story.world({ cluster: { a: '2', b: '2' } })).toEqual(['cluster a=2']);
    expect(story.ack('cluster', [])).toEqual([]);
    expect(story.world({ cluster: { a: '3', b: '3' } })).toEqual([]);
  });

  it('that is spelled out is one that an empty list drops', () => {
    const story = aSettledStream({ cluster: { a: '1' } });
    expect(story.request('cluster', ['*'], { nonce: story.nonceOf('cluster') })).toEqual(['cluster a=1']);
    expect(story.ack('cluster', [])).toEqual([]);
    expect(story.world({ cluster: { a: '2' } })).toEqual([]);
  });

  it('beside names outlives them: who drops a name is not answered', () => {
    const story = aStream();
    story.world({ cluster: { a: '1', b: '1' } });
    expect(story.request('cluster', ['*', 'a'])).toEqual(['cluster a=1 b=1']);
    expect(story.ack('cluster', ['*'])).toEqual([]);
    expect(story.world({ cluster: { a: '2', b: '1' } })).toEqual(['cluster a=2 b=1']);
  });
});

describe('full state', () => {
  it('of clusters and listeners is in every response: what is left out is deleted', () => {
    const story = aSettledStream({ cluster: { a: '1', b: '1', c: '1' } });
    expect(story.world({ cluster: { a: '1', b: '2', d: '1' } })).toEqual(['cluster a=1 b=2 c=1 d=1']);
    expect(story.ack('cluster')).toEqual(['cluster a=1 b=2 d=1']);
  });

  it('of which the last goes is an empty response', () => {
    const story = aSettledStream({ listener: { l: '1' } });
    expect(story.world({})).toEqual(['listener']);
  });

  it('by name says of a name that it is not there', () => {
    const story = aStream();
    story.world({ cluster: { a: '1' } });
    expect(story.request('cluster', ['x'])).toEqual(['cluster']);
    story.ack('cluster');
    expect(story.world({ cluster: { x: '1' } })).toEqual(['cluster x=1']);
  });

  it('has one version: the digest of names and versions, the same on any process', () => {
    const versionOf = (types: Partial<Record<ResourceType, Versions>>) => {
      const story = aStream();
      story.stream.offer(aSnapshot(types));
      story.stream.request({
        nodeId: '',
        typeUrl: TYPE_URLS.cluster,
        names: [],
        version: 'of another stream',
        nonce: '',
      });
      return story.fresh()[0]?.version;
    };
    const version = versionOf({ cluster: { a: '1', b: '1' } });
    expect(version).toBe(systemVersion(new Map(Object.entries({ b: '1', a: '1' }))));
    expect(versionOf({ cluster: { b: '1', a: '1' }, routes: { r: '1' } })).toBe(version);
    expect(versionOf({ cluster: { a: '2', b: '1' } })).not.toBe(version);
  });

  it('that still holds what is to go has another version than the one without it', () => {
    const story = aSettledStream({ cluster: { a: '1' } });
    story.stream.offer(aSnapshot({ cluster: { b: '1' } }));
    const [held] = story.fresh();
    story.stream.request({
      nodeId: '',
      typeUrl: TYPE_URLS.cluster,
      names: [],
      version: '',
      nonce: held?.nonce ?? '',
    });
    const [last] = story.fresh();
    expect([held, last].map((push) => push?.resources.map(({ name }) => name))).toEqual([['a', 'b'], ['b']]);
    expect(held?.version).not.toBe(last?.version);
  });
});

describe('names of endpoints and routes', () => {
  it('are answered with what they name, and with nothing else', () => {
    const story = aStream();
    story.world({ routes: { a: '1', b: '1' } });
    expect(story.request('routes', ['a'])).toEqual(['routes a=1']);
  });

  it('that are given twice count once, and are given with every request', () => {
    const story = aStream(undefined, 2);
    story.world({ routes: { a: '1', b: '1' } });
    expect(story.request('routes', ['a', 'a', 'a'])).toEqual(['routes a=1']);
    for (const names of [
      ['a', 'b'],
      ['b', 'b'],
      ['b', 'c'],
    ])
      story.ack('routes', names);
    expect(() => story.ack('routes', ['a', 'b', 'c'])).toThrow('too many subscriptions');
  });

  it('that do not exist are not answered, and nobody waits for an ACK; they are when they appear', () => {
    const story = aStream();
    story.world({});
    expect(story.request('endpoints', ['x'])).toEqual([]);
    expect(story.events()).toEqual([`in sync at ${lastSeq()}`]);
    expect(story.world({ endpoints: { x: '1' } })).toEqual(['endpoints x=1']);
  });

  it('that are added are answered alone', () => {
    const story = aSettledStream({ endpoints: { a: '1', b: '1' } });
    expect(story.ack('endpoints', ['a', 'b'])).toEqual([]);
    const grown = aStream();
    grown.world({ endpoints: { a: '1', b: '1' } });
    grown.request('endpoints', ['a']);
    expect(grown.ack('endpoints')).toEqual([]);
    // the nonce is the last one, which has been accepted already
    expect(grown.ack('endpoints', ['a', 'b'])).toEqual(['endpoints b=1']);
  });

  it('that are not repeated are dropped in silence, and are news when they come back', () => {
    const story = aSettledStream({ endpoints: { a: '1', b: '1' } });
    expect(story.ack('endpoints', ['a'])).toEqual([]);
    expect(story.world({ endpoints: { a: '1', b: '2' } })).toEqual([]);
    expect(story.ack('endpoints', ['a', 'b'])).toEqual(['endpoints b=2']);
  });

  it('end with an empty list', () => {
    const story = aSettledStream();
    expect(story.ack('endpoints', [])).toEqual([]);
    expect(story.world({ ...FIRST, endpoints: { a: '2' } })).toEqual([]);
  });

  it('get what has changed and not what has not', () => {
    const story = aSettledStream({ endpoints: { a: '1', b: '1' } });
    expect(story.world({ endpoints: { a: '1', b: '2' } })).toEqual(['endpoints b=2']);
  });

  it('hear nothing of what is gone: it cannot be said, and the node is in sync', () => {
    const story = aSettledStream({ routes: { r: '1', s: '1' } });
    expect(story.world({ routes: { r: '1' } })).toEqual([]);
    expect(story.events()).toEqual([`in sync at ${lastSeq()}`]);
    // the client has kept it
    expect(story.world({ routes: { r: '1', s: '1' } })).toEqual([]);
    expect(story.world({ routes: { r: '1', s: '2' } })).toEqual(['routes s=2']);
  });
});

describe('a request, state of the world', () => {
  it('that accepts is followed by silence', () => {
    const story = aStream();
    story.world({ cluster: { a: '1' } });
    story.request('cluster', []);
    expect(story.ack('cluster')).toEqual([]);
    expect(story.ack('cluster')).toEqual([]);
    expect(story.events()).toEqual(['acked cluster', `in sync at ${lastSeq()}`]);
  });

  it('is an ACK whatever its version says, and a NACK by its error alone', () => {
    const story = aStream();
    story.world({ cluster: { a: '1' } });
    story.request('cluster', []);
    story.request('cluster', [], { nonce: story.nonceOf('cluster'), version: 'old' });
    expect(story.events()).toContain('acked cluster');
    const [refused] = [aSettledStream()];
    refused.stream.offer(aSnapshot({ ...FIRST, routes: { r: '2' } }));
    const [push] = refused.fresh();
    refused.request('routes', ['r'], {
      nonce: push?.nonce ?? '',
      version: push?.version ?? '',
      error: { code: 3, message: 'no' },
    });
    expect(refused.events()).toEqual(['nacked routes r: no']);
  });

  it('with a stale nonce is not answered, and its names are not lost', () => {
    const story = aStream();
    story.world({ routes: { a: '1', b: '1' } });
    story.request('routes', ['a']);
    expect(story.request('routes', ['a', 'b'], { nonce: 'stale' })).toEqual([]);
    expect(story.events()).toEqual([]);
    expect(story.ack('routes')).toEqual(['routes b=1']);
  });

  it('with a stale nonce and an error refuses nothing', () => {
    const story = aStream();
    story.world({ routes: { a: '1' } });
    story.request('routes', ['a']);
    story.request('routes', ['a'], { nonce: 'stale', error: { code: 3, message: 'x' } });
    expect(story.events()).toEqual([]);
    expect(story.stream.refused()).toEqual([]);
  });

  it('that is the first is answered with all, whatever nonce and version an earlier stream has left in it', () => {
    const story = aStream();
    story.world(FIRST);
    expect(story.request('cluster', [], { nonce: '7', version: 'old' })).toEqual(['cluster a=1']);
    expect(story.request('routes', ['r'], { nonce: '9', version: 'old' })).toEqual(['routes r=1']);
  });

  it('without nonce begins anew: all that it names is sent again', () => {
    const story = aSettledStream();
    expect(story.request('routes', ['r'])).toEqual(['routes r=1']);
    story.ack('routes');
    expect(story.request('cluster', [])).toEqual(['cluster a=1']);
  });

  it('without nonce, sent before our response was read, brings its names and nothing twice', () => {
    const story = aStream();
    story.world({ endpoints: { a: '1', b: '1' } });
    expect(story.request('endpoints', ['a'])).toEqual(['endpoints a=1']);
    expect(story.request('endpoints', ['a', 'b'])).toEqual([]);
    expect(story.ack('endpoints')).toEqual(['endpoints b=1']);
  });

  it('of one type does not answer a response of another', () => {
    const story = aStream();
    story.world(FIRST);
    story.request('cluster', []);
    const nonce = story.nonceOf('cluster');
    story.request('routes', ['r']);
    story.request('routes', ['r'], { nonce });
    expect(story.events()).toEqual([]);
  });

  it('of a type that we do not serve is not answered', () => {
    const story = aStream();
    story.world({});
    const typeUrl = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';
    expect(story.request('cluster', ['key'], { typeUrl })).toEqual([]);
  });
});

describe('a refusal, state of the world', () => {
  it('is remembered: the version is not sent again until it changes', () => {
    const story = aSettledStream();
    expect(story.world({ ...FIRST, routes: { r: 'bad' } })).toEqual(['routes r=bad']);
    expect(story.nack('routes')).toEqual([]);
    expect(story.ack('routes')).toEqual([]);
    expect(story.world({ ...FIRST, routes: { r: 'bad' } })).toEqual([]);
    expect(story.events()).toEqual(['nacked routes r: no']);
    expect(story.stream.refused()).toEqual(['routes']);
    expect(story.world({ ...FIRST, routes: { r: '3' } })).toEqual(['routes r=3']);
    story.ack('routes');
    expect(story.events()).toEqual(['acked routes', `in sync at ${lastSeq()}`]);
  });

  it('with names anew brings these, and not the refused one', () => {
    const story = aSettledStream({ routes: { r: '1' } });
    story.world({ routes: { r: 'bad', s: '1' } });
    expect(story.nack('routes', ['r', 's'])).toEqual(['routes s=1']);
  });

  it('of full state leaves the last accepted version in the responses after it', () => {
    const story = aSettledStream({ cluster: { a: '1', b: '1' } });
    expect(story.world({ cluster: { a: 'bad', b: '1' } })).toEqual(['cluster a=bad b=1']);
    expect(story.nack('cluster')).toEqual([]);
    expect(story.events()).toEqual(['nacked cluster a: no']);
    expect(story.world({ cluster: { a: 'bad', b: '2' } })).toEqual(['cluster a=1 b=2']);
    expect(story.ack('cluster')).toEqual([]);
    expect(story.stream.refused()).toEqual(['cluster']);
    expect(story.world({ cluster: { a: '3', b: '2' } })).toEqual(['cluster a=3 b=2']);
    story.ack('cluster');
    expect(story.events().at(-1)).toBe(`in sync at ${lastSeq()}`);
  });

  it('of a resource that was never accepted leaves it out', () => {
    const story = aSettledStream({ cluster: { a: '1' } });
    expect(story.world({ cluster: { a: '1', b: 'bad' } })).toEqual(['cluster a=1 b=bad']);
    story.nack('cluster');
    expect(story.world({ cluster: { a: '2', b: 'bad' } })).toEqual(['cluster a=2']);
  });

  it('ends with the version before it, which is sent: nobody knows what the client kept', () => {
    const story = aSettledStream();
    story.world({ ...FIRST, listener: { l: 'bad' } });
    story.nack('listener');
    expect(story.world(FIRST)).toEqual(['listener l=1']);
  });
});

describe('a push, state of the world', () => {
  it('goes clusters, endpoints, listeners, routes, each after the ACK of the one before', () => {
    const story = aSettledStream();
    const next = { cluster: { a: '2' }, endpoints: { a: '2' }, listener: { l: '2' }, routes: { r: '2' } };
    // a cluster that changes is acknowledged when it is warm, and it is not warm without endpoints: those that it had
    expect(story.world(next)).toEqual(['cluster a=2', 'endpoints a=1']);
    expect(story.ack('endpoints')).toEqual([]);
    expect(story.ack('cluster')).toEqual(['endpoints a=2']);
    expect(story.ack('endpoints')).toEqual(['listener l=2']);
    expect(story.ack('listener')).toEqual(['routes r=2']);
    expect(story.ack('routes')).toEqual([]);
    expect(story.events().at(-1)).toBe(`in sync at ${lastSeq()}`);
  });

  it('makes before it breaks: a cluster goes when the routes that used it are replaced', () => {
    const story = aSettledStream();
    expect(story.world({ ...FIRST, cluster: { b: '1' }, endpoints: { b: '1' }, routes: { r: '2' } })).toEqual(
      ['cluster a=1 b=1'],
    );
    // what the new cluster waits for is answered before its step
    expect(story.ack('endpoints', ['a', 'b'])).toEqual(['endpoints b=1']);
    expect(story.ack('endpoints')).toEqual([]);
    expect(story.ack('cluster')).toEqual(['routes r=2']);
    expect(story.ack('routes')).toEqual(['cluster b=1']);
    expect(story.ack('cluster')).toEqual([]);
    expect(story.ack('endpoints', ['b'])).toEqual([]);
    expect(story.events().at(-1)).toBe(`in sync at ${lastSeq()}`);
  });

  it('breaks nothing while the routes that were to replace the use are refused, whatever comes meanwhile', () => {
    const story = aSettledStream(FIRST, 5);
    story.world({ ...FIRST, cluster: { b: '1' }, endpoints: { b: '1' }, routes: { r: 'bad' } });
    expect(story.ack('cluster')).toEqual(['routes r=bad']);
    expect(story.nack('routes')).toEqual([]);
    const more = { b: '1', c: '1' };
    expect(story.world({ ...FIRST, cluster: more, endpoints: more, routes: { r: 'bad' } })).toEqual([
      'cluster a=1 b=1 c=1',
    ]);
    expect(story.ack('cluster')).toEqual([]);
    expect(story.world({ ...FIRST, cluster: more, endpoints: more, routes: { r: '3' } })).toEqual([
      'routes r=3',
    ]);
    expect(story.ack('routes')).toEqual(['cluster b=1 c=1']);
  });

  it('sends the endpoints of a cluster again behind another version of it: it warms up again', () => {
    const world = { ...FIRST, cluster: { a: '1', b: '1' }, endpoints: { a: '1', b: '1' } };
    const story = aSettledStream(world);
    expect(story.world({ ...world, cluster: { a: '2', b: '1' } })).toEqual([
      'cluster a=2 b=1',
      'endpoints a=1',
    ]);
    expect(story.ack('endpoints')).toEqual([]);
    expect(story.ack('cluster')).toEqual([]);
  });

  it('sends no endpoints again for a cluster that was refused, or is new', () => {
    const story = aSettledStream();
    expect(story.world({ ...FIRST, cluster: { a: 'bad' } })).toEqual(['cluster a=bad', 'endpoints a=1']);
    expect(story.nack('cluster')).toEqual([]);
    expect(story.ack('endpoints')).toEqual([]);
    expect(story.world({ ...FIRST, cluster: { a: 'bad', b: '1' } })).toEqual(['cluster a=1 b=1']);
    expect(story.ack('cluster')).toEqual([]);
  });

  it('goes on after a bound when an answer does not come', async () => {
    const story = aSettledStream(FIRST, 5);
    expect(story.world({ ...FIRST, cluster: { a: '1', b: '1' }, routes: { r: '2' } })).toEqual([
      'cluster a=1 b=1',
    ]);
    expect(await eventually('the bound has passed', () => story.news().join())).toBe('routes r=2');
    story.stream.close();
  });

  it('waits for the answer before the next response of a type, which then carries the newest state', () => {
    const story = aSettledStream();
    expect(story.world({ ...FIRST, routes: { r: '2' } })).toEqual(['routes r=2']);
    expect(story.world({ ...FIRST, routes: { r: '3' } })).toEqual([]);
    expect(story.world({ ...FIRST, routes: { r: '4' } })).toEqual([]);
    expect(story.ack('routes')).toEqual(['routes r=4']);
  });

  it('waits for a stream that is full', () => {
    const story = aSettledStream();
    story.fill(true);
    expect(story.world({ ...FIRST, endpoints: { a: '2' } })).toEqual(['endpoints a=2']);
    expect(story.ack('endpoints')).toEqual([]);
    expect(story.world({ ...FIRST, endpoints: { a: '2' }, routes: { r: '2' } })).toEqual([]);
    story.fill(false);
    story.stream.drained();
    expect(story.news()).toEqual(['routes r=2']);
  });

  it('to a client that comes back with all its types at once goes in the same order', () => {
    const story = aStream();
    story.world(FIRST);
    expect(story.request('cluster', [])).toEqual(['cluster a=1']);
    expect(story.request('endpoints', ['a', 'old'])).toEqual(['endpoints a=1']);
    // what an earlier step waits for may be named; listeners and what they would drop wait for their turn
    expect(story.request('listener', [])).toEqual([]);
    expect(story.request('routes', ['r'])).toEqual(['routes r=1']);
    expect(story.ack('cluster')).toEqual([]);
    expect(story.ack('endpoints')).toEqual(['listener l=1']);
    expect(story.ack('routes')).toEqual([]);
    expect(story.ack('listener')).toEqual([]);
    expect(story.events().at(-1)).toBe(`in sync at ${lastSeq()}`);
  });
});

describe('whatever is pushed and refused, state of the world', () => {
  const versions = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('1', '2', '3'), {
    noNullPrototype: true,
  });
  const turns = fc.array(
    fc.record({
      cluster: versions,
      route: fc.constantFrom('1', '2', '3'),
      refuses: fc.array(fc.boolean(), { maxLength: 6 }),
    }),
    { minLength: 1, maxLength: 6 },
  );

  it('no refused version comes again before it changes, and the next good world is what the client has', () => {
    fc.assert(
      fc.property(turns, (worlds) => {
        const story = tellStory(sotwVariant);
        const client = new Map<ResourceType, Versions>();
        const refused = new Set<string>();
        const ask = (type: ResourceType, change: Partial<SotwRequest> = {}) =>
          story.stream.request({
            nodeId: '',
            typeUrl: TYPE_URLS[type],
            names: type === 'routes' ? ['r'] : [],
            version: '',
            nonce: '',
            ...change,
          });
        /** answers all that comes, with refusals for as long as there are any */
        const answerAll = (refusals: boolean[]) => {
          for (let pushes = story.fresh(); pushes.length > 0; pushes = story.fresh()) {
            for (const { typeUrl, nonce, resources } of pushes) {
              const type = resourceTypeOf(typeUrl) as ResourceType;
              const before = client.get(type) ?? {};
              const sent = Object.fromEntries(resources.map(({ name, version }) => [name, version]));
              for (const [name, version] of Object.entries(sent)) {
                expect(refused).not.toContain(`${type} ${name} ${version}`);
              }
              if (refusals.shift() === true) {
                for (const [name, version] of Object.entries(sent)) {
                  if (before[name] !== version) refused.add(`${type} ${name} ${version}`);
                }
                ask(type, { nonce, error: { code: 3, message: 'no' } });
              } else {
                client.set(type, sent);
                ask(type, { nonce });
              }
            }
          }
        };
        const settle = (cluster: Versions, route: string, refusals: boolean[]) => {
          for (const each of refused) {
            const [type, name = '', version] = each.split(' ');
            const now = type === 'cluster' ? cluster[name] : route;
            if (now !== version) refused.delete(each);
          }
          story.stream.offer(aSnapshot({ cluster, routes: { r: route } }));
          answerAll(refusals);
        };
        ask('cluster');
        ask('routes');
        for (const { cluster, route, refuses } of worlds) settle(cluster, route, [...refuses]);
        settle({ a: 'good', d: 'good' }, 'good', []);
        expect(client.get('cluster')).toEqual({ a: 'good', d: 'good' });
        expect(client.get('routes')).toEqual({ r: 'good' });
        expect(story.events().at(-1)).toBe(`in sync at ${lastSeq()}`);
        story.stream.close();
      }),
      { numRuns: 500 },
    );
  });
});
