/** Beginnings that many stories share. */
import type { Variant } from './client.ts';

/** Two of everything that can be asked for, and what refers to it. */
export const TWO = 'world cluster a=1 b=1; listener l=1; routes r=1 s=1';

/** A client that has accepted a cluster, its endpoints, a listener and its routes. */
export function settled(variant: Variant): string {
  const sign = variant === 'delta' ? '+' : '';
  return `
    world cluster a=1; listener l=1:r; routes r=1:a
    > cluster
    < cluster a@1
    ack cluster
    > endpoints ${sign}a
    < endpoints a@1
    ack endpoints
    > listener
    < listener l@1
    ack listener
    > routes ${sign}r
    < routes r@1
    ack routes
    quiet
  `;
}
