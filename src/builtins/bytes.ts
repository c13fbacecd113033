/** Strings of Go are bytes; ours, and those of the compiled module, are text. */
import { isUtf8 } from 'node:buffer';
import { refuse } from './implementation.ts';

/** The length of a string to Go. */
export function byteLength(text: string): number {
  return Buffer.byteLength(text);
}

/** Bytes that a built-in gives to the policy. */
export function textOfBytes(bytes: Buffer): string {
  return isUtf8(bytes)
    ? bytes.toString('utf8')
    : refuse('A built-in function answers with bytes that are no text');
}

/** As Go reads JSON from bytes: each byte that belongs to no character is one U+FFFD. */
export function textOfJsonBytes(bytes: Buffer): string {
  return isUtf8(bytes) ? bytes.toString('utf8') : repairUtf8(bytes);
}

function repairUtf8(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = characterLength(bytes, at);
    text += length === 0 ? '\ufffd' : bytes.toString('utf8', at, at + length);
    at += length || 1;
  }
  return text;
}

/** @returns 0  for a byte that begins no character */
function characterLength(bytes: Buffer, at: number): number {
  for (let length = 1; length <= 4 && at + length <= bytes.length; length += 1) {
    if (isUtf8(bytes.subarray(at, at + length))) return length;
  }
  return 0;
}
