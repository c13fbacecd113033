/** Protocol stories of incremental xDS, told to the reducer of one type on one stream. */
import { describe, expect, it } from 'vitest';
import { deltaVariant } from '../../src/xds/delta-variant.ts';
import {
  advanceSubscription,
  initialSubscription,
  isRefused,
  isSettled,
  type SubscriptionAction,
  type SubscriptionRequest,
} from '../../src/xds/subscription.ts';

/** A client and a server of one type; each method answers what the server did. */
function tellStory(type: 'cluster' | 'routes') {
  let state = initialSubscription(deltaVariant.rulesOf(type));
  let nonces = 0;
  const act = (event: Parameters<typeof advanceSubscription>[1]): readonly SubscriptionAction[] => {
    const step = advanceSubscription(state, event);
    state = step.state;
    return step.actions;
  };
  const writable = () => {
    nonces += 1;
    return act({ kind: 'writable', nonce: `n${nonces}` });
  };
  const request = (change: Partial<SubscriptionRequest> = {}) => [
    ...act({
      kind: 'request',
      request: { subscribe: [], unsubscribe: [], initialVersions: {}, nonce: '', ...change },
    }),
    ...writable(),
  ];
  const lastNonce = () => state.outstanding?.nonce ?? 'none';
  return {
    request,
    writable,
    world: (versions: Record<string, string>, holdsRemovals = false) => [
      ...act({ kind: 'desired', versions: new Map(Object.entries(versions)), holdsRemovals }),
      ...writable(),
    ],
    /** only the state changes; the stream takes no message now */
    worldWhileBlocked: (versions: Record<string, string>) =>
      act({ kind: 'desired', versions: new Map(Object.entries(versions)), holdsRemovals: false }),
    ack: (change: Partial<SubscriptionRequest> = {}) => request({ nonce: lastNonce(), ...change }),
    nack: (message = 'bad') => request({ nonce: lastNonce(), error: { code: 3, message } }),
    lastNonce,
    settled: () => isSettled(state),
    refused: () => isRefused(state),
  };
}

const send = (nonce: string, resources: readonly string[], removed: readonly string[] = []) => ({
  kind: 'send',
  nonce,
  resources,
  removed,
});
const ACKED = { kind: 'acked' };
const STALE = { kind: 'stale' };

describe('a subscription to all', () => {
  it('begins with a first request without names, and gets everything', () => {
    const story = tellStory('cluster');
    story.world({ a: '1', b: '1' });
    expect(story.request()).toEqual([send('n2', ['a', 'b'])]);
    expect(story.settled()).toBe(false);
    expect(story.ack()).toEqual([ACKED]);
    expect(story.settled()).toBe(true);
  });

  it('is answered in an empty world too, or the client would wait', () => {
    expect(tellStory('cluster').request()).toEqual([send('n1', [])]);
  });

  it('begins with "*" for any type', () => {
    const story = tellStory('routes');
    story.world({ a: '1' });
    expect(story.request({ subscribe: ['*'] })).toEqual([send('n2', ['a'])]);
  });

  it('does not begin without names where names are the rule', () => {
    const story = tellStory('routes');
    story.world({ a: '1' });
    expect(story.request()).toEqual([]);
  });

  it('does not begin by an empty request that is not the first', () => {
    const story = tellStory('cluster');
    story.world({ a: '1', b: '1' });
    story.request({ subscribe: ['a'] });
    story.ack({ unsubscribe: ['a'] });
    expect(story.request()).toEqual([]);
  });

  it('gets only what has changed, and what is gone', () => {
    const story = tellStory('cluster');
    story.world({ a: '1', b: '1', c: '1' });
    story.request();
    story.ack();
    expect(story.world({ a: '1', b: '2', d: '1' })).toEqual([send('n4', ['b', 'd'], ['c'])]);
  });

  it('hears nothing when nothing has changed', () => {
    const story = tellStory('cluster');
    story.world({ a: '1' });
    story.request();
    story.ack();
    expect(story.world({ a: '1' })).toEqual([]);
  });

  it('ends with an unsubscribe of "*", and names that were given stay', () => {
    const story = tellStory('cluster');
    story.world({ a: '1', b: '1' });
    story.request();
    story.ack({ subscribe: ['a'] });
    story.ack({ unsubscribe: ['*'] });
    expect(story.world({ a: '2', b: '2' })).toEqual([send('n5', ['a'])]);
  });

  it('answers an unsubscribe of one name with what it still is', () => {
    const story = tellStory('cluster');
    story.world({ a: '1' });
    story.request({ subscribe: ['*', 'a', 'x'] });
    expect(story.ack({ unsubscribe: ['a', 'x'] })).toEqual([ACKED, send('n3', ['a'], ['x'])]);
  });
});

describe('a subscription by name', () => {
  it('gets what it names and nothing else', () => {
    const story = tellStory('routes');
    story.world({ a: '1', b: '1' });
    expect(story.request({ subscribe: ['a'] })).toEqual([send('n2', ['a'])]);
  });

  it('is told at once of a name that does not exist, and gets it when it appears', () => {
    const story = tellStory('routes');
    expect(story.request({ subscribe: ['a'] })).toEqual([send('n1', [], ['a'])]);
    story.ack();
    expect(story.writable()).toEqual([]);
    expect(story.world({ a: '1' })).toEqual([send('n4', ['a'])]);
  });

  it('is told when a name goes, and stays subscribed to it', () => {
    const story = tellStory('routes');
    story.world({ a: '1' });
    story.request({ subscribe: ['a'] });
    story.ack();
    expect(story.world({})).toEqual([send('n4', [], ['a'])]);
    story.ack();
    expect(story.world({ a: '1' })).toEqual([send('n6', ['a'])]);
  });

  it('is always answered when it asks again, also when it has the version', () => {
    const story = tellStory('routes');
    story.world({ a: '1' });
    story.request({ subscribe: ['a'] });
    story.ack();
    expect(story.request({ subscribe: ['a'] })).toEqual([send('n4', ['a'])]);
  });

  it('hears no more of a name that it has dropped, and gets it anew when it comes back', () => {
    const story = tellStory('routes');
    story.world({ a: '1' });
    story.request({ subscribe: ['a'] });
    story.ack();
    expect(story.request({ unsubscribe: ['a'] })).toEqual([]);
    expect(story.world({ a: '2' })).toEqual([]);
    expect(story.request({ subscribe: ['a'] })).toEqual([send('n6', ['a'])]);
  });

  it('keeps a name that one request drops and takes', () => {
    const story = tellStory('routes');
    story.world({ a: '1' });
    expect(story.request({ subscribe: ['a'], unsubscribe: ['a'] })).toEqual([send('n2', ['a'])]);
  });

  it('that is dropped while it is on its way is not taken for delivered', () => {
    const story = tellStory('routes');
    story.world({ a: '1' });
    story.request({ subscribe: ['a'] });
    story.request({ unsubscribe: ['a'] });
    expect(story.ack()).toEqual([ACKED]);
    expect(story.request({ subscribe: ['a'] })).toEqual([send('n5', ['a'])]);
  });
});

describe('a client that comes back', () => {
  it('with all versions current gets an answer without resources', () => {
    const story = tellStory('cluster');
    story.world({ a: '1', b: '1' });
    expect(story.request({ initialVersions: { a: '1', b: '1' } })).toEqual([send('n2', [])]);
  });

  it('gets what has changed while it was away, and hears of what is gone', () => {
    const story = tellStory('cluster');
    story.world({ a: '2', b: '1' });
    expect(story.request({ initialVersions: { a: '1', b: '1', c: '1' } })).toEqual([
      send('n2', ['a'], ['c']),
    ]);
  });

  it('by name gets what it lacks, and hears of a name that is gone', () => {
    const story = tellStory('routes');
    story.world({ a: '1', b: '1' });
    const back = { subscribe: ['a', 'b', 'c'], initialVersions: { a: '1', c: '1' } };
    expect(story.request(back)).toEqual([send('n2', ['b'], ['c'])]);
  });

  it('may tell its versions in the first request of a type only', () => {
    const story = tellStory('cluster');
    story.world({ a: '1' });
    story.request();
    story.nack();
    story.request({ initialVersions: { a: '2' } });
    expect(story.world({ a: '2' })).toEqual([send('n5', ['a'])]);
  });
});

describe('an answer of the client', () => {
  it('to another nonce is stale: it neither accepts nor refuses', () => {
    const story = tellStory('cluster');
    story.world({ a: '1' });
    story.request();
    expect(story.request({ nonce: 'other' })).toEqual([STALE]);
    expect(story.request({ nonce: 'other', error: { code: 3, message: 'x' } })).toEqual([STALE]);
    expect(story.settled()).toBe(false);
    expect(story.refused()).toBe(false);
  });

  it('that is stale still changes the subscription', () => {
    const story = tellStory('routes');
    story.world({ a: '1', b: '1' });
    story.request({ subscribe: ['a'] });
    expect(story.request({ nonce: 'old', subscribe: ['b'] })).toEqual([STALE]);
    expect(story.ack()).toEqual([ACKED, send('n4', ['b'])]);
  });

  it('given twice counts once', () => {
    const story = tellStory('cluster');
    story.world({ a: '1' });
    story.request();
    const nonce = story.lastNonce();
    expect(story.request({ nonce })).toEqual([ACKED]);
    expect(story.request({ nonce })).toEqual([STALE]);
  });

  it('is awaited before the next response, which then carries the newest state only', () => {
    const story = tellStory('cluster');
    story.world({ a: '1' });
    story.request();
    expect(story.world({ a: '2' })).toEqual([]);
    expect(story.world({ a: '3', b: '1' })).toEqual([]);
    expect(story.ack()).toEqual([ACKED, send('n5', ['a', 'b'])]);
  });
});

describe('a stream that takes no message', () => {
  it('gets the newest state when it does again', () => {
    const story = tellStory('cluster');
    story.world({ a: '1' });
    story.request();
    story.ack();
    story.worldWhileBlocked({ a: '2' });
    story.worldWhileBlocked({ a: '3' });
    expect(story.settled()).toBe(false);
    expect(story.writable()).toEqual([send('n4', ['a'])]);
  });
});

describe('a refusal', () => {
  const refusedStory = () => {
    const story = tellStory('routes');
    story.world({ a: '1' });
    story.request({ subscribe: ['a'] });
    story.ack();
    story.world({ a: 'bad' });
    return story;
  };

  it('is told with its reason, and the version is not sent again', () => {
    const story = refusedStory();
    expect(story.nack('no such filter')).toEqual([
      { kind: 'nacked', names: ['a'], reason: 'no such filter' },
    ]);
    expect(story.writable()).toEqual([]);
    expect(story.world({ a: 'bad' })).toEqual([]);
    expect(story.request()).toEqual([]);
    expect([story.settled(), story.refused()]).toEqual([true, true]);
  });

  it('ends with another version', () => {
    const story = refusedStory();
    story.nack();
    expect(story.world({ a: '2' })).toEqual([send('n6', ['a'])]);
    expect(story.ack()).toEqual([ACKED]);
    expect(story.refused()).toBe(false);
  });

  it('ends with the version before it, which is sent: nobody knows what the client kept', () => {
    const story = refusedStory();
    story.nack();
    expect(story.world({ a: '1' })).toEqual([send('n6', ['a'])]);
  });

  it('is tried again when the client asks for the name', () => {
    const story = refusedStory();
    story.nack();
    expect(story.request({ subscribe: ['a'] })).toEqual([send('n6', ['a'])]);
  });

  it('of a removal does not repeat it, and the resource is sent when it comes back', () => {
    const story = tellStory('cluster');
    story.world({ a: '1', b: '1' });
    story.request();
    story.ack();
    story.world({ b: '2' });
    story.nack();
    expect(story.writable()).toEqual([]);
    expect(story.world({ a: '1', b: '1' })).toEqual([send('n7', ['a', 'b'])]);
  });

  it('of a removal is tried again after the next accepted response: what is gone must not stay for ever', () => {
    const story = tellStory('cluster');
    story.world({ a: '1', b: '1' });
    story.request();
    story.ack();
    story.world({ b: 'bad' });
    story.nack();
    expect(story.world({ b: '3' })).toEqual([send('n6', ['b'])]);
    expect(story.ack()).toEqual([ACKED, send('n7', [], ['a'])]);
    expect(story.nack()).toEqual([{ kind: 'nacked', names: ['a'], reason: 'bad' }]);
    expect(story.writable()).toEqual([]);
  });

  it('of one response does not hold up resources that were not in it', () => {
    const story = tellStory('cluster');
    story.world({ a: '1', b: '1' });
    story.request();
    story.ack();
    story.world({ a: 'bad', b: '1' });
    story.nack();
    expect(story.world({ a: 'bad', b: '2' })).toEqual([send('n6', ['b'])]);
  });
});

describe('a removal that is held', () => {
  it('is not sent before it is released, but who asks is answered', () => {
    const story = tellStory('cluster');
    story.world({ a: '1', b: '1' });
    story.request();
    story.ack();
    expect(story.world({ b: '2' }, true)).toEqual([send('n4', ['b'])]);
    expect(story.ack()).toEqual([ACKED]);
    expect(story.settled()).toBe(true);
    expect(story.request({ subscribe: ['x'] })).toEqual([send('n6', [], ['x'])]);
    story.ack();
    expect(story.world({ b: '2' })).toEqual([send('n8', [], ['a'])]);
  });
});
