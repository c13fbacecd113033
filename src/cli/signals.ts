/** Resolves at the first SIGINT or SIGTERM; further ones change nothing, the stop is under way. */
export function untilSignalled(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    process.on('SIGINT', resolve);
    process.on('SIGTERM', resolve);
  });
}
