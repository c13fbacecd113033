import { watch } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

/** Editors write a file in several steps. */
const SETTLE_MS = 50;

/** Resolves when a file in one of the paths has changed, and at the signal. */
export async function untilChanged(paths: readonly string[], signal: AbortSignal): Promise<void> {
  const done = new AbortController();
  const stop = AbortSignal.any([signal, done.signal]);
  await Promise.race(paths.map((path) => firstChange(path, stop)));
  done.abort();
  if (!signal.aborted) await delay(SETTLE_MS);
}

async function firstChange(path: string, signal: AbortSignal): Promise<void> {
  try {
    for await (const _change of watch(path, { recursive: true, signal })) return;
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  }
}
