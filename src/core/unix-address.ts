/** An address may be a socket of the file system: `unix:/path`. */
const PREFIX = 'unix:';

/** `sun_path` of unix(7), without its zero byte */
const MAX_PATH_BYTES = 107;

/** Whether a socket can be there: an absolute path of a bounded length, on one line. */
export function isSocketPath(path: string): boolean {
  return path.startsWith('/') && Buffer.byteLength(path) <= MAX_PATH_BYTES && !/\p{Cc}/u.test(path);
}

/** @returns the path; undefined: it is another kind of address */
export function unixPath(address: string): string | undefined {
  return address.startsWith(PREFIX) ? address.slice(PREFIX.length) : undefined;
}
