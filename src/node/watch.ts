/** What the agent of a node does again and again while its Envoy runs. */
import { Failure } from '../core/failure.ts';
import { Away, type NodeOrders } from './contact.ts';
import { type AdsTraffic, untilLive } from './envoy.ts';
import { writeBootstrap } from './kept-configuration.ts';
import { isAdsReachable } from './places.ts';
import { probePosition } from './probe.ts';
import { LIVE_MS, type Running, type RunOptions, runningOnline } from './running.ts';

export interface Watch {
  /**
   * Looks once. Nothing that fails ends it but time.
   *
   * @returns what runs now: another Envoy, where Chancery is back
   * @throws Failure credential_expired  when Chancery has been away for too long
   */
  look(running: Running, stop: AbortSignal): Promise<Running>;
}

/** What has not changed is told again after this time, … */
const REPORT_MS = 20_000;
/** … and what is kept is signed anew after this part of its life. */
const REFRESH_PART = 1 / 8;
/** When less than this part of the time is left, somebody should know. */
const WARN_PART = 1 / 2;
const RETRY_RESTART_MS = 30_000;
const NEVER = Number.NEGATIVE_INFINITY;

export function createWatch(options: RunOptions): Watch {
  const { contact, kept, identity, complain, say } = options;
  const told = new Set<string>();
  let heardAtMs = performance.now();
  let warned = false;
  let reported = { position: '', atMs: NEVER };
  let keptLast = { position: '', key: '', atMs: NEVER };
  let restartAfterMs = NEVER;
  let traffic: AdsTraffic | undefined;

  /** Each trouble once, until Chancery answers. */
  const tell = (line: string): void => {
    if (!told.has(line)) complain(line);
    told.add(line);
  };
  const heard = (): void => {
    heardAtMs = performance.now();
    if (warned) say('Chancery is back in time');
    warned = false;
    told.clear();
  };
  const expectHeard = ({ maxOfflineMs }: Running): void => {
    const leftMs = heardAtMs + maxOfflineMs - performance.now();
    if (leftMs <= 0) {
      throw new Failure(
        'credential_expired',
        'Envoy is stopped: Chancery has been away for longer than this node may go on without it',
      );
    }
    if (warned || leftMs > maxOfflineMs * WARN_PART) return;
    warned = true;
    complain(`warning: Envoy is stopped in ${Math.round(leftMs / 1_000)} s unless Chancery is back by then`);
  };

  /**
   * The admin REST alone may be away. That Envoy calls itself connected says nothing, since it does so while it tries: the
   * connection must be the one of the last look, and have brought something since (pings are answered).
   */
  const hearsControl = async ({ envoy }: Running): Promise<boolean> => {
    const before = traffic;
    traffic = await envoy.adsTraffic();
    return (
      before !== undefined &&
      traffic?.connections === before.connections &&
      traffic.receivedBytes > before.receivedBytes
    );
  };

  const ask = async (): Promise<NodeOrders | undefined> => {
    try {
      return await contact.orders();
    } catch (error) {
      tell(
        error instanceof Away ? `Chancery is away: ${error.message}` : `Chancery refuses: ${textOf(error)}`,
      );
      return undefined;
    }
  };

  const backOnline = async (running: Running, stop: AbortSignal): Promise<Running> => {
    if (performance.now() < restartAfterMs) return running;
    const orders = await ask();
    if (orders === undefined || !(await isAdsReachable(orders.bootstrap))) return running;
    say('Chancery is back: Envoy is restarted once, on purpose');
    const next = await running.envoy.replace(writeBootstrap(options.envoy, orders.bootstrap));
    try {
      await untilLive(next, LIVE_MS, stop);
    } catch (error) {
      restartAfterMs = performance.now() + RETRY_RESTART_MS;
      tell(`the restart has failed, and the Envoy before goes on: ${textOf(error)}`);
      return running;
    }
    heard();
    say(`Envoy runs (process ${next.pid}); what it does comes from Chancery`);
    return runningOnline(orders, next);
  };

  const prove = async ({ envoy, listener }: Running): Promise<string | undefined> => {
    let position: string;
    try {
      position = await probePosition({ listener, identity: identity(), workers: await envoy.workers() });
    } catch (error) {
      tell(`what Envoy enforces is not known: ${textOf(error)}`);
      return undefined;
    }
    if (position === reported.position && performance.now() - reported.atMs < REPORT_MS) return position;
    try {
      await contact.report(position);
      reported = { position, atMs: performance.now() };
      heard();
    } catch (error) {
      tell(`what Envoy enforces is not told: ${textOf(error)}`);
    }
    return position;
  };

  const keepCurrent = async ({ maxOfflineMs }: Running, enforced: string | undefined): Promise<void> => {
    const key = identity()?.configurationKey ?? '';
    const isFresh = performance.now() - keptLast.atMs < maxOfflineMs * REFRESH_PART;
    if (isFresh && keptLast.key === key && keptLast.position === (enforced ?? keptLast.position)) return;
    const orders = await ask();
    if (orders === undefined) return;
    heard();
    if (orders.configuration === undefined) return;
    try {
      kept.keep(orders.configuration);
      keptLast = { position: orders.configuration.position, key, atMs: performance.now() };
    } catch (error) {
      tell(`what Chancery has signed is not kept: ${textOf(error)}`);
    }
  };

  return {
    async look(running, stop) {
      if (running.offline) {
        const next = await backOnline(running, stop);
        if (next.offline) expectHeard(next);
        return next;
      }
      await keepCurrent(running, await prove(running));
      if (await hearsControl(running)) heardAtMs = performance.now();
      expectHeard(running);
      return running;
    },
  };
}

function textOf(error: unknown): string {
  if (error instanceof Failure) return error.detail;
  return error instanceof Error ? error.message : String(error);
}
