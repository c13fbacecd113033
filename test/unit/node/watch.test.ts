import { describe, expect, it } from 'vitest';
import { Away } from '../../../src/node/contact.ts';
import type { AdsTraffic, RunningEnvoy } from '../../../src/node/envoy.ts';
import type { Running, RunOptions } from '../../../src/node/running.ts';
import { createWatch } from '../../../src/node/watch.ts';
import { eventually } from '../../support/eventually.ts';

const MAX_OFFLINE_MS = 200;

/** Chancery's REST is away, and Envoy tells this of its connection to `control`, look by look. */
function anAgent(traffic: (look: number) => AdsTraffic) {
  let looks = 0;
  const envoy = {
    pid: 1,
    ended: new Promise<string>(() => {}),
    workers: async () => 1,
    adsTraffic: async () => traffic((looks += 1)),
  } as Partial<RunningEnvoy> as RunningEnvoy;
  const away = async (): Promise<never> => {
    throw new Away('nobody answers');
  };
  const watch = createWatch({
    contact: { orders: away, report: away },
    identity: () => undefined,
    say: () => {},
    complain: () => {},
  } as Partial<RunOptions> as RunOptions);
  // nobody listens on this port
  const listener = { address: '127.0.0.1', port: 1, tls: false };
  const running: Running = { envoy, listener, offline: false, maxOfflineMs: MAX_OFFLINE_MS };
  return { look: () => watch.look(running, new AbortController().signal) };
}

const untilStopped = (look: () => Promise<Running>): Promise<unknown> =>
  eventually('it is over', () =>
    look().then(
      () => undefined,
      (error: unknown) => error,
    ),
  );

describe('an agent whom Chancery does not answer', () => {
  it.each<[string, (look: number) => AdsTraffic]>([
    ['is silent', () => ({ connections: 1, receivedBytes: 100 })],
    ['is tried again and again', (look) => ({ connections: look, receivedBytes: 100 + look })],
  ])('gives up in the end while `control` %s', async (_, traffic) => {
    const { look } = anAgent(traffic);
    expect(await untilStopped(look)).toMatchObject({ code: 'credential_expired' });
  });

  it('goes on while the same connection to `control` brings something', async () => {
    const startMs = performance.now();
    const { look } = anAgent((at) => ({ connections: 1, receivedBytes: at }));
    while (performance.now() - startMs < MAX_OFFLINE_MS * 3) {
      const [before, running] = [performance.now(), await look()];
      expect(running.offline).toBe(false);
      // a machine that stood still for so long has heard nothing either
      if (performance.now() - before > MAX_OFFLINE_MS) return;
    }
  });
});
