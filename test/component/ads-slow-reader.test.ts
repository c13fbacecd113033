/** What a client costs that asks and does not read: a bounded number of responses, and then the newest state. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  openStoryStream,
  type SeenResponse,
  STORY_TYPES,
  type StoryStream,
} from '../conformance/ads-stories/client.ts';
import { openStage, type Stage } from '../conformance/ads-stories/stage.ts';
import { parseWorld } from '../conformance/ads-stories/world.ts';
import { eventually } from '../support/eventually.ts';

const REQUESTS = 300;
const BYTES = 400_000;
/** The transport of grpc-js says that it is full at 16 messages; some are under way. */
const MAX_RESPONSES = 40;
const PATIENCE_MS = 20_000;

describe('a client that acknowledges what it has not read', () => {
  let stage: Stage;
  let stream: StoryStream;

  beforeEach(async () => {
    stage = await openStage({ holdMs: 600_000, maxSubscriptions: 100 });
    stage.setPad(BYTES);
    await stage.setWorld('edge-1', parseWorld('cluster a=1; listener'));
    stream = openStoryStream(stage.port, 'delta');
  });
  afterEach(async () => {
    stream.close();
    await stage.close();
  });

  const next = async (): Promise<SeenResponse> => {
    const seen = await stream.next(PATIENCE_MS);
    if (seen === undefined) throw new Error('nothing came');
    return seen;
  };

  it('is sent a bounded number of responses, and the newest state when it reads', async () => {
    stream.send({ type_url: STORY_TYPES.cluster, node: { id: 'edge-1' } });
    expect((await next()).nonce).toBe('1');
    stream.pause();
    // nonces can be guessed: each request accepts the one before, and asks once more
    for (let nonce = 1; nonce <= REQUESTS; nonce += 1) {
      stream.send({
        type_url: STORY_TYPES.cluster,
        response_nonce: String(nonce),
        resource_names_subscribe: ['a'],
      });
    }
    stream.send({ type_url: STORY_TYPES.cluster, resource_names_subscribe: ['last'] });
    await eventually('all requests have arrived', () => stage.hasHeardOf('edge-1', 'last'));
    const pushes = await stage.pushes();
    expect(pushes).toBeGreaterThan(1);
    expect(pushes).toBeLessThan(MAX_RESPONSES);
    await stage.setWorld('edge-1', parseWorld('cluster a=2; listener'));
    stream.resume();
    let seen = await next();
    while (!seen.resources.includes('a@2')) {
      stream.send({ type_url: STORY_TYPES.cluster, response_nonce: seen.nonce });
      seen = await next();
    }
    expect(stream.wrongs).toEqual([]);
  });
});
