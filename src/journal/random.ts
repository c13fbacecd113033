import { randomBytes } from 'node:crypto';

/** Randomness is given, never read: tests pass a source of their own. @returns `size` random bytes */
export type RandomBytes = (size: number) => Uint8Array;

export const systemRandom: RandomBytes = (size) => randomBytes(size);

/** Between a half and one and a half times `ms`, so that many processes do not act at the same moment. */
export function jittered(ms: number, random: RandomBytes): number {
  const [high = 0, low = 0] = random(2);
  return Math.round(ms * (0.5 + (high * 256 + low) / 65_536));
}
