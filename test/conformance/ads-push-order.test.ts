/** The order of a push over the types of one stream. */
import { describe, expect, it } from 'vitest';
import type { DeltaRequest } from '../../src/grpc/messages-delta.ts';
import { deltaVariant } from '../../src/xds/delta-variant.ts';
import { type ResourceType, resourceTypeOf, TYPE_URLS } from '../../src/xds/resource-types.ts';
import { aSnapshot, lastSeq, tellStory } from '../support/ads-story.ts';
import { eventually } from '../support/eventually.ts';

function aStream(holdMs?: number) {
  const story = tellStory(deltaVariant, holdMs);
  const request = (type: ResourceType, change: Partial<DeltaRequest> = {}) =>
    story.stream.request({
      nodeId: '',
      typeUrl: TYPE_URLS[type],
      subscribe: [],
      unsubscribe: [],
      initialVersions: {},
      nonce: '',
      ...change,
    });
  /** what has been sent since the last time, for example `cluster +a -b` */
  const news = () =>
    story
      .fresh()
      .map(({ typeUrl, resources, removed }) =>
        [
          resourceTypeOf(typeUrl) ?? typeUrl,
          ...resources.map(({ name }) => `+${name}`),
          ...removed.map((name) => `-${name}`),
        ].join(' '),
      );
  return {
    ...story,
    request,
    news,
    /** accepts the last response of the type; answers what is sent then */
    ack: (type: ResourceType, change: Partial<DeltaRequest> = {}) => {
      request(type, { nonce: story.nonceOf(type), ...change });
      return news();
    },
    nack: (type: ResourceType) => {
      request(type, { nonce: story.nonceOf(type), error: { code: 3, message: 'no' } });
      return news();
    },
  };
}

const FIRST = { cluster: { a: '1' }, endpoints: { a: '1' }, listener: { l: '1' }, routes: { r: '1' } };

/** A stream whose client has everything of the first snapshot. */
function aSettledStream(holdMs?: number) {
  const story = aStream(holdMs);
  story.stream.offer(aSnapshot(FIRST));
  story.request('cluster');
  story.ack('cluster');
  story.request('endpoints', { subscribe: ['a'] });
  story.ack('endpoints');
  story.request('listener');
  story.ack('listener');
  story.request('routes', { subscribe: ['r'] });
  story.ack('routes');
  story.news();
  story.events();
  return story;
}

describe('a push', () => {
  it('goes clusters, endpoints, listeners, routes, each after the ACK of the one before', () => {
    const story = aSettledStream();
    story.stream.offer(
      aSnapshot({ cluster: { a: '2' }, endpoints: { a: '2' }, listener: { l: '2' }, routes: { r: '2' } }),
    );
    // a cluster that changes is acknowledged when it is warm, and it is not warm without endpoints: those that it had
    expect(story.news()).toEqual(['cluster +a', 'endpoints +a']);
    expect(story.ack('endpoints')).toEqual([]);
    expect(story.ack('cluster')).toEqual(['endpoints +a']);
    expect(story.ack('endpoints')).toEqual(['listener +l']);
    expect(story.ack('listener')).toEqual(['routes +r']);
    expect(story.ack('routes')).toEqual([]);
    expect(story.events()).toEqual([
      'acked endpoints',
      'acked cluster',
      'acked endpoints',
      'acked listener',
      'acked routes',
      `in sync at ${lastSeq()}`,
    ]);
  });

  it('of routes alone sends routes alone', () => {
    const story = aSettledStream();
    story.stream.offer(aSnapshot({ ...FIRST, routes: { r: '2' } }));
    expect(story.news()).toEqual(['routes +r']);
    expect(story.ack('routes')).toEqual([]);
  });

  it('of nothing new sends nothing, and the node is in sync at once', () => {
    const story = aSettledStream();
    story.stream.offer(aSnapshot(FIRST));
    expect(story.news()).toEqual([]);
    expect(story.events()).toEqual([`in sync at ${lastSeq()}`]);
  });

  it('removes a cluster only after the routes that used it are replaced: make before break', () => {
    const story = aSettledStream();
    story.stream.offer(
      aSnapshot({ cluster: { b: '1' }, endpoints: { b: '1' }, listener: { l: '1' }, routes: { r: '2' } }),
    );
    expect(story.news()).toEqual(['cluster +b']);
    // what the new cluster waits for is answered before its step
    story.request('endpoints', { subscribe: ['b'] });
    expect(story.news()).toEqual(['endpoints +b']);
    expect(story.ack('endpoints')).toEqual([]);
    expect(story.ack('cluster')).toEqual(['routes +r']);
    expect(story.ack('routes')).toEqual(['cluster -a']);
    expect(story.ack('cluster')).toEqual(['endpoints -a']);
    expect(story.ack('endpoints')).toEqual([]);
  });

  it('removes nothing while the routes that were to replace the use are refused', () => {
    const story = aSettledStream(5);
    story.stream.offer(
      aSnapshot({ cluster: { b: '1' }, endpoints: { b: '1' }, listener: { l: '1' }, routes: { r: 'bad' } }),
    );
    expect(story.ack('cluster')).toEqual(['cluster +b', 'routes +r']);
    expect(story.nack('routes')).toEqual([]);
    expect(story.events()).toEqual(['acked cluster', 'nacked routes r: no']);
    story.stream.offer(
      aSnapshot({ cluster: { b: '1' }, endpoints: { b: '1' }, listener: { l: '1' }, routes: { r: '3' } }),
    );
    expect(story.news()).toEqual(['routes +r']);
    expect(story.ack('routes')).toEqual(['cluster -a']);
  });

  it('goes on after a refused cluster: a revoked grant must not wait for it', () => {
    const story = aSettledStream();
    story.stream.offer(aSnapshot({ ...FIRST, cluster: { a: 'bad' }, routes: { r: '2' } }));
    expect(story.news()).toEqual(['cluster +a', 'endpoints +a']);
    expect(story.ack('endpoints')).toEqual([]);
    expect(story.nack('cluster')).toEqual(['routes +r']);
  });

  it('goes on after a bound when an answer does not come', async () => {
    const story = aSettledStream(5);
    story.stream.offer(aSnapshot({ ...FIRST, cluster: { a: '2' }, routes: { r: '2' } }));
    expect(story.news()).toEqual(['cluster +a', 'endpoints +a']);
    expect(await eventually('the bound has passed', () => story.news().join())).toBe('routes +r');
    story.stream.close();
  });

  it('gives way to a newer one: what was not sent yet is never sent', () => {
    const story = aSettledStream();
    story.stream.offer(aSnapshot({ ...FIRST, cluster: { a: '2' }, routes: { r: '2' } }));
    story.stream.offer(aSnapshot({ ...FIRST, cluster: { a: '2' }, routes: { r: '1' } }));
    expect(story.news()).toEqual(['cluster +a', 'endpoints +a']);
    expect(story.ack('endpoints')).toEqual([]);
    expect(story.ack('cluster')).toEqual([]);
    expect(story.events()).toEqual(['acked endpoints', 'acked cluster', `in sync at ${lastSeq()}`]);
  });

  it('waits for a stream that is full, and then sends the newest state', () => {
    const story = aSettledStream();
    story.fill(true);
    story.stream.offer(aSnapshot({ ...FIRST, endpoints: { a: '2' } }));
    expect(story.news()).toEqual(['endpoints +a']);
    expect(story.ack('endpoints')).toEqual([]);
    story.stream.offer(aSnapshot({ ...FIRST, endpoints: { a: '2' }, routes: { r: '2' } }));
    story.stream.offer(aSnapshot({ ...FIRST, endpoints: { a: '2' }, routes: { r: '3' } }));
    expect(story.news()).toEqual([]);
    story.fill(false);
    story.stream.drained();
    expect(story.news()).toEqual(['routes +r']);
  });
});

describe('a client that comes back with all its types at once', () => {
  const comeBack = () => {
    const story = aStream();
    story.stream.offer(aSnapshot({ ...FIRST, cluster: { a: '1', b: '1' } }));
    story.request('cluster', { initialVersions: { a: '1', old: '1' } });
    story.request('endpoints', { subscribe: ['a', 'old'], initialVersions: { a: '1', old: '1' } });
    story.request('listener', { initialVersions: { l: '1' } });
    story.request('routes', { subscribe: ['r'], initialVersions: { r: '0' } });
    return story;
  };

  it('is not told to drop its listener before the turn of listeners', () => {
    const story = comeBack();
    expect(story.news()).toEqual(['cluster +b', 'endpoints', 'routes +r']);
  });

  it('gets the endpoints that it has again, of a cluster that has changed meanwhile: it warms up anew', () => {
    const story = aStream();
    story.stream.offer(aSnapshot({ ...FIRST, cluster: { a: '2', b: '1' }, endpoints: { a: '1', b: '1' } }));
    story.request('cluster', { initialVersions: { a: '1', b: '1' } });
    expect(story.news()).toEqual(['cluster +a']);
    story.request('endpoints', { subscribe: ['a', 'b'], initialVersions: { a: '1', b: '1' } });
    expect(story.news()).toEqual(['endpoints +a']);
  });

  it('gets what it lacks, and hears of what is gone at the end', () => {
    const story = comeBack();
    story.news();
    expect(story.ack('endpoints')).toEqual([]);
    expect(story.ack('routes')).toEqual([]);
    expect(story.ack('cluster')).toEqual(['listener']);
    expect(story.ack('listener')).toEqual(['cluster -old']);
    expect(story.ack('cluster')).toEqual(['endpoints -old']);
    expect(story.ack('endpoints')).toEqual([]);
    expect(story.events().at(-1)).toBe(`in sync at ${lastSeq()}`);
  });
});

describe('a type that we do not serve', () => {
  it('is answered: the name does not exist', () => {
    const story = aStream();
    const typeUrl = 'type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration';
    story.request('cluster', { typeUrl, subscribe: ['key'] });
    expect(story.news()).toEqual([`${typeUrl} -key`]);
  });
});
