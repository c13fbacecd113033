/** An address may be a socket of the file system: `unix:/path`. */
const PREFIX = 'unix:';

/** @returns the path; undefined: it is another kind of address */
export function unixPath(address: string): string | undefined {
  return address.startsWith(PREFIX) ? address.slice(PREFIX.length) : undefined;
}
