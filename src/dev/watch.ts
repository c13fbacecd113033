import { watch } from 'node:fs';

const QUIET_MS = 150;

/**
 * Calls `onChange` after files below `folder` have changed and been quiet for 150 ms; one call at a time, and
 * once more when something changed during a call.
 */
export function watchFolder(folder: string, onChange: () => Promise<void>, signal: AbortSignal): void {
  let timer: NodeJS.Timeout | undefined;
  let running = false;
  let again = false;
  const run = async (): Promise<void> => {
    if (running) {
      again = true;
      return;
    }
    running = true;
    await onChange();
    running = false;
    if (again) {
      again = false;
      await run();
    }
  };
  const watcher = watch(folder, { recursive: true, signal }, () => {
    clearTimeout(timer);
    timer = setTimeout(() => void run(), QUIET_MS);
  });
  watcher.on('error', () => {});
  signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
}
