/**
 * Tells a story over the real port. What must not come is never waited for: after each step that wants silence the
 * client asks for a secret of its own, and since a stream keeps its order, all that came before that answer is all
 * there was.
 */
import { openStoryStream, type SeenResponse, type StoryStream, type StoryType } from './client.ts';
import { type Memory, toRequest } from './requests.ts';
import { openStage, type Stage } from './stage.ts';
import type { Story } from './story.ts';
import { MAX_PROBES, parseWorld, type StoryWorld } from './world.ts';

/** The story went otherwise. */
export class StoryBroken extends Error {}

export interface Waits {
  /** for a response; when nothing has come by then, silence is proven, not assumed */
  readonly patienceMs: number;
  /** for what a timer brings, and for the proof */
  readonly timerMs: number;
}
const WAITS: Waits = { patienceMs: 1_000, timerMs: 20_000 };

interface Actor {
  readonly nodeId: string;
  readonly memory: Memory;
  stream: StoryStream;
  hasSpoken: boolean;
  isPaused: boolean;
  probes: number;
  /** version of the last response of a type */
  readonly received: Map<StoryType, string>;
}

/** @throws StoryBroken */
export async function tell(story: Story, waits: Waits = WAITS): Promise<void> {
  const stage = await openStage({
    holdMs: story.holdMs ?? 600_000,
    maxSubscriptions: story.maxSubscriptions ?? 1_000,
  });
  const actors = new Map<string, Actor>();
  const teller = createTeller(story, stage, actors, waits);
  try {
    for (const line of story.script) await teller(line);
    await teller('end');
  } finally {
    for (const { stream } of actors.values()) stream.close();
    await stage.close();
  }
}

function createTeller(
  story: Story,
  stage: Stage,
  actors: Map<string, Actor>,
  { patienceMs, timerMs }: Waits,
): (line: string) => Promise<void> {
  const { variant } = story;
  const worlds = new Map<string, StoryWorld>();
  let done: string[] = [];

  const newActor = (name: string, nodeId: string): Actor => {
    const actor: Actor = {
      nodeId,
      memory: { versions: new Map(), names: new Map(), version: new Map() },
      stream: openStoryStream(stage.port, variant),
      hasSpoken: false,
      isPaused: false,
      probes: 0,
      received: new Map(),
    };
    actors.set(name, actor);
    return actor;
  };
  let now = newActor('A', 'edge-1');

  const fail = (what: string): never => {
    throw new StoryBroken(
      `"${story.title}" (${variant}, ${story.rule}): ${what}\n  after:\n    ${done.join('\n    ')}`,
    );
  };

  const holdToRules = (): void => {
    for (const { stream } of actors.values()) if (stream.wrongs.length > 0) fail(stream.wrongs.join('; '));
  };

  const say = (type: StoryType, tokens: readonly string[], answer?: 'ack' | 'nack'): void => {
    const { stream, memory, nodeId } = now;
    if (answer === 'ack') memory.version.set(type, now.received.get(type) ?? '');
    const nonces = stream.nonces(type);
    const nonceOf = (which: string): string => {
      if (which === 'none') return '';
      if (which === 'last') return nonces.at(-1) ?? '';
      if (which === 'prev') return nonces.at(-2) ?? '';
      if (which === 'first') return nonces[0] ?? '';
      if (which === 'bogus') return 'no-such-nonce';
      return stream.nonces(which as StoryType).at(-1) ?? fail(`there is no nonce ${which}`);
    };
    const request = toRequest(
      variant,
      {
        type,
        tokens: answer !== undefined && variant === 'sotw' && tokens.length === 0 ? ['same'] : tokens,
        nodeId: now.hasSpoken ? undefined : nodeId,
        nonceOf,
        isError: answer === 'nack',
        ...(answer && { nonce: nonces.at(-1) ?? fail(`nothing of ${type} to answer`) }),
      },
      memory,
    );
    now.hasSpoken = true;
    stream.send(request);
  };

  const remember = (seen: SeenResponse): void => {
    const { versions } = now.memory;
    versions.set(seen.type, new Map([...(versions.get(seen.type) ?? []), ...seen.versions]));
    now.received.set(seen.type, seen.version);
  };

  /** @returns what else has been said before the probe was answered; undefined: the stream has ended */
  const probe = async (): Promise<readonly SeenResponse[] | undefined> => {
    const name = `probe.${now.probes}`;
    now.probes += 1;
    if (now.probes > MAX_PROBES) fail('the story needs more probes than there are');
    const listed = now.memory.names.get('secrets') ?? [];
    say('secrets', variant === 'delta' ? [`+${name}`] : [...listed, name]);
    const others: SeenResponse[] = [];
    for (;;) {
      const seen = await now.stream.next(timerMs);
      if (seen === undefined) return undefined;
      if (seen.type !== 'secrets' || !seen.resources.includes(`${name}@1`)) {
        others.push(seen);
        continue;
      }
      remember(seen);
      say('secrets', variant === 'delta' ? [] : [...listed, name], 'ack');
      return others;
    }
  };

  const settle = async (): Promise<void> => {
    if (!now.hasSpoken || now.isPaused) return;
    for (const seen of ((await probe()) ?? []).toReversed()) now.stream.unread(seen);
  };

  const expectResponse = async (
    type: StoryType,
    tokens: readonly string[],
    waitMs: number,
  ): Promise<void> => {
    const wanted = textOf(
      type,
      tokens.filter((token) => !token.startsWith('-')),
      tokens.filter((token) => token.startsWith('-')).map((token) => token.slice(1)),
    );
    // a secret that is on its way would hold the probe up
    let seen = await now.stream.next(type === 'secrets' ? timerMs : waitMs);
    if (seen === undefined) {
      const [first, ...rest] = (await probe()) ?? [];
      for (const each of rest.toReversed()) now.stream.unread(each);
      seen = first;
    }
    if (seen === undefined) return fail(`nothing came, but should have: ${wanted}`);
    remember(seen);
    const said = textOf(seen.type, seen.resources, seen.removed);
    if (said !== wanted) fail(`came: ${said}\n  should have: ${wanted}`);
  };

  const quiet = async (): Promise<void> => {
    const others = await probe();
    if (others === undefined) return fail('the stream has ended, or is stuck');
    const said = others.map((seen) => textOf(seen.type, seen.resources, seen.removed));
    if (said.length > 0) fail(`should have been quiet, but came: ${said.join('; ')}`);
  };

  const reconnect = (): void => {
    now.stream.close();
    now.stream = openStoryStream(stage.port, variant);
    now.hasSpoken = false;
    // another stream knows no names
    now.memory.names.clear();
  };

  return async (line: string): Promise<void> => {
    const [verb = '', first = '', ...rest] = line.split(/\s+/);
    const type = first as StoryType;
    if (verb === '>') say(type, rest);
    else if (verb === 'ack' || verb === 'nack') say(type, rest, verb);
    else if (verb === '<') await expectResponse(type, rest, patienceMs);
    else if (verb === '<later') await expectResponse(type, rest, timerMs);
    else if (verb === 'quiet') await quiet();
    else if (verb === 'reconnect') reconnect();
    else if (verb === 'client') now = actors.get(first) ?? newActor(first, rest[0] ?? 'edge-1');
    else if (verb === 'pad') stage.setPad(Number(first));
    else if (verb === 'broken' || verb === 'mended') stage.setBroken(verb === 'broken');
    else if (verb === 'delete') stage.deleteNode(now.nodeId);
    else if (verb === 'ends') await expectEnd(Number(first));
    else if (verb === 'pause' || verb === 'resume') {
      now.isPaused = verb === 'pause';
      now.stream[verb]();
    } else if (verb.startsWith('world')) {
      const nodeId = verb.split('@')[1] ?? 'edge-1';
      const world = parseWorld(line.slice(verb.length), worlds.get(nodeId));
      worlds.set(nodeId, world);
      await settle();
      await stage.setWorld(nodeId, world);
    } else if (verb !== 'end') fail(`no such step: ${line}`);
    holdToRules();
    done = [...done, line];
  };

  async function expectEnd(code: number): Promise<void> {
    const ended = await now.stream.ended(timerMs);
    if (ended !== code) fail(`should have ended with ${code}, not with ${String(ended)}`);
  }
}

function textOf(type: string, resources: readonly string[], removed: readonly string[]): string {
  return [type, ...[...resources].sort(), ...[...removed].sort().map((name) => `-${name}`)].join(' ');
}
