/**
 * The agent of a node: starts its Envoy, keeps what it needs for a start without Chancery, and tells what its listener
 * enforces.
 *
 * Fail closed: a kept configuration that may not be used starts nothing, and an Envoy that nobody has told anything for
 * `maxOfflineSeconds` is stopped.
 */
import { Failure } from '../core/failure.ts';
import { pause } from '../journal/deadline.ts';
import { jittered } from '../journal/random.ts';
import { Away, type NodeOrders } from './contact.ts';
import { startEnvoy, untilLive } from './envoy.ts';
import { writeBootstrap, writeOfflineFiles } from './kept-configuration.ts';
import { listenerOf } from './places.ts';
import { LIVE_MS, type Running, type RunOptions, runningOnline } from './running.ts';
import { createWatch } from './watch.ts';

/**
 * Until `stop`, then Envoy is stopped.
 *
 * @throws Failure credential_invalid, credential_expired, peer_mismatch, not_found  when Chancery is away and what is
 *         kept may not be used; credential_expired when Envoy was stopped; internal when it has ended by itself
 * @throws ApiError  when Chancery refuses this node
 */
export async function runNode(options: RunOptions, stop: AbortSignal): Promise<void> {
  const { lookMs, random } = options;
  let running = await start(options, stop);
  const watch = createWatch(options);
  try {
    while (!stop.aborted) {
      await Promise.race([pause(jittered(lookMs, random), stop), running.envoy.ended]);
      if (stop.aborted) break;
      await expectRunning(running);
      running = await watch.look(running, stop);
    }
  } finally {
    await running.envoy.stop();
  }
}

async function start(options: RunOptions, stop: AbortSignal): Promise<Running> {
  const { contact, envoy: envoyOptions, say } = options;
  let orders: NodeOrders;
  try {
    orders = await contact.orders();
  } catch (error) {
    if (error instanceof Away) return startOffline(options, error, stop);
    throw error;
  }
  const envoy = await startEnvoy(envoyOptions, writeBootstrap(envoyOptions, orders.bootstrap));
  say(`Envoy runs (process ${envoy.pid}); what it does comes from Chancery`);
  return runningOnline(orders, envoy);
}

async function startOffline(
  { kept, envoy: envoyOptions, complain, say, nowMs }: RunOptions,
  away: Away,
  stop: AbortSignal,
): Promise<Running> {
  complain(`Chancery is away: ${away.message}`);
  const configuration = kept.read();
  const listener = listenerOf(configuration.resources['listener']?.[0]);
  const envoy = await startEnvoy(envoyOptions, writeOfflineFiles(envoyOptions, configuration));
  await untilLive(envoy, LIVE_MS, stop);
  const { position, expiresAt } = configuration;
  say(
    `Envoy runs (process ${envoy.pid}) from what this node has kept, position ${position}; it is stopped at ` +
      `${expiresAt} unless Chancery is back by then`,
  );
  return { envoy, listener, offline: true, maxOfflineMs: Date.parse(expiresAt) - nowMs() };
}

/** @throws Failure internal */
async function expectRunning({ envoy }: Running): Promise<void> {
  const over = await Promise.race([envoy.ended, pause(0).then(() => undefined)]);
  if (over !== undefined) throw new Failure('internal', `Envoy has ended by itself (${over})`);
}
