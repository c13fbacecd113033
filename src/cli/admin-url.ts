import { isLoopback } from '../core/loopback.ts';
import { UsageError } from './usage-error.ts';

/** Of the admin REST: a token travels there. @throws UsageError */
export function parseAdminUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const host = url?.hostname.replace(/^\[(.*)\]$/, '$1') ?? '';
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(host))) return url;
  throw new UsageError('--url is https, or http to an IP address of this machine');
}
