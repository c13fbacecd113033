import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Failure } from '../../../src/core/failure.ts';
import { createMemoryShared } from '../../../src/journal/memory-shared.ts';
import { systemRandom } from '../../../src/journal/random.ts';
import type { Shared } from '../../../src/journal/shared.ts';
import { type Announcement, announce, announceAuthz, announcedPlace } from '../../../src/roles/announce.ts';
import { type AuthzPlaces, createAuthzPlaces, KEPT_MS } from '../../../src/roles/authz-places.ts';
import { silentLogger } from '../../../src/telemetry/logger.ts';
import { eventually } from '../../support/eventually.ts';
import { recordLog } from '../../support/log-lines.ts';

const A = { address: '10.0.0.1', port: 9191 };
const B = { address: '10.0.0.2', port: 9191 };
const TTL_MS = 9_000;

let nowMs: number;
let shared: Shared;
let away: boolean;
let changes: number;
let looks: number;
let places: AuthzPlaces;
const announced: Announcement[] = [];
const log = recordLog();
const clock = { nowMs: () => nowMs };

beforeEach(async () => {
  [nowMs, away, changes, looks] = [1_000_000, false, 0, 0];
  shared = createMemoryShared({ clock });
  const list: Shared['list'] = async (prefix) => {
    looks += 1;
    if (away) throw new Failure('store_unavailable', 'away');
    return shared.list(prefix);
  };
  places = createAuthzPlaces({
    shared: { list },
    clock,
    random: systemRandom,
    logger: log.logger,
    lookMs: 2,
    onChange: () => {
      changes += 1;
    },
  });
});
afterEach(async () => {
  places.close();
  for (const each of announced.splice(0)) await each.withdraw();
});

const put = (id: string, value: unknown): Promise<void> =>
  shared.put(`authz/${id}`, typeof value === 'string' ? value : JSON.stringify(value), TTL_MS);
/** Two more looks: what there is to see has been seen. */
const looked = async (): Promise<void> => {
  const enough = looks + 2;
  await eventually('two more looks', () => looks >= enough);
};
const start = (place: typeof A): Announcement => {
  const made = announce(place, { shared, random: systemRandom, logger: silentLogger });
  announced.push(made);
  return made;
};

describe('the live authorizers', () => {
  it('are known once the first look is done, in one order, each place once', async () => {
    await put('z', A);
    await put('y', B);
    await put('x', A);
    await places.start();
    expect(places.current()).toEqual([A, B]);
    expect(changes).toBe(1);
  });

  it('are those that announce themselves, until they take it back', async () => {
    const [a] = [start(A), start(B)];
    await places.start();
    await eventually('both are there', () => places.current().length === 2);
    await a.withdraw();
    await eventually('one is left', () => places.current().length === 1);
    expect(places.current()).toEqual([B]);
  });

  it('lose a process that died, when its time is over and not before', async () => {
    await put('a', A);
    await put('b', B);
    await places.start();
    nowMs += TTL_MS - 1;
    await looked();
    expect(places.current()).toEqual([A, B]);
    await put('b', B);
    nowMs += 1;
    await eventually('the dead one is gone', () => places.current().length === 1);
    expect(places.current()).toEqual([B]);
  });

  it('stay as they were last known while shared state is away, also those whose time is over', async () => {
    await put('a', A);
    await places.start();
    away = true;
    const warned = log.lines.length;
    nowMs += KEPT_MS;
    await looked();
    expect(places.current()).toEqual([A]);
    expect(changes).toBe(1);
    expect(log.lines.slice(warned).filter(({ level }) => level === 'warn')).toHaveLength(1);
    nowMs += 1;
    await eventually('they are forgotten', () => places.current().length === 0);
    away = false;
    await put('b', B);
    await eventually('it is back', () => places.current().length === 1);
  });

  it('are nobody when shared state is away from the start, and the start does not fail', async () => {
    away = true;
    await places.start();
    expect([places.current(), changes]).toEqual([[], 0]);
  });

  it('change nothing when one comes back within the same look, or is announced twice', async () => {
    await put('a', A);
    await places.start();
    await shared.remove('authz/a');
    await put('a2', A);
    await put('a3', A);
    await looked();
    expect([places.current(), changes]).toEqual([[A], 1]);
  });

  it.each([
    ['no JSON', 'x'],
    ['no address', { port: 1 }],
    ['a host name', { address: 'authz.example', port: 9191 }],
    ['no port', { address: '10.0.0.1', port: 0 }],
    ['a port that there is not', { address: '10.0.0.1', port: 70_000 }],
    ['a Unix socket with a port', { address: 'unix:/s', port: 1 }],
    ['a Unix socket without a place', { address: 'unix:s', port: 0 }],
    ['a Unix socket that cannot be', { address: `unix:/${'s'.repeat(107)}`, port: 0 }],
    ['a Unix socket on two lines', { address: 'unix:/s\u0000', port: 0 }],
    ['nobody in particular', { address: '0.0.0.0', port: 9191 }],
    ['nobody in particular, at length', { address: '0:0:0:0:0:0:0:0', port: 9191 }],
    ['what means something on one machine only', { address: 'fe80::1%eth0', port: 9191 }],
  ])('are not what announces %s', async (_, value) => {
    await put('a', value);
    await put('b', B);
    await places.start();
    expect(places.current()).toEqual([B]);
  });
});

describe('the place of a live authorizer', () => {
  it('is written in one spelling, whoever announces it in another', async () => {
    await put('a', { address: 'FE80:0:0:0:0:0:0:1', port: 9191 });
    await put('b', { address: 'fe80::1', port: 9191 });
    await places.start();
    expect(places.current()).toEqual([{ address: 'fe80::1', port: 9191 }]);
  });
});

describe('an announcement', () => {
  it('is made again before its time is over', async () => {
    const made = announce(A, { shared, random: systemRandom, logger: silentLogger, beatMs: 5 });
    announced.push(made);
    await eventually('it is there', async () => (await shared.list('authz/')).length === 1);
    for (let time = 0; time < 3; time += 1) {
      nowMs += 3 * 5;
      await eventually('it is there again', async () => (await shared.list('authz/')).length === 1);
    }
  });

  it('that is under way when it is taken back does not come after that', async () => {
    let release = (): void => {};
    const slow: Shared = {
      ...shared,
      put: async (...args) => {
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        return shared.put(...args);
      },
    };
    const made = announce(A, { shared: slow, random: systemRandom, logger: silentLogger });
    const withdrawn = made.withdraw();
    release();
    await withdrawn;
    expect(await shared.list('authz/')).toEqual([]);
  });

  it('never fails the stop', async () => {
    const broken: Shared = { ...shared, remove: () => Promise.reject(new Error('gone')) };
    const made = announce(A, { shared: broken, random: systemRandom, logger: silentLogger });
    await expect(made.withdraw()).resolves.toBeUndefined();
  });

  it('is not made of an address that is nobody’s', () => {
    const deps = { shared, random: systemRandom, logger: silentLogger };
    expect(announceAuthz({ address: '0.0.0.0' }, 9191, deps)).toBeUndefined();
    expect(announceAuthz({ address: '::' }, 9191, deps)).toBeUndefined();
    expect(announceAuthz({ address: '0::0' }, 9191, deps)).toBeUndefined();
  });

  it('says what the configuration says, and else where the process listens', () => {
    const { address } = A;
    expect(announcedPlace({ address: '0.0.0.0', announce: { address } }, 9191)).toEqual(A);
    expect(announcedPlace({ address: '0.0.0.0', announce: { address, port: 443 } }, 9191)).toEqual({
      address,
      port: 443,
    });
    expect(announcedPlace({ address }, 9191)).toEqual(A);
    expect(announcedPlace({ address: 'unix:/s' }, 0)).toEqual({ address: 'unix:/s', port: 0 });
  });
});
