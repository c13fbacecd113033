/** Key files: for the owner, at most readable by the group. */
import { closeSync, fstatSync, fsyncSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { Failure } from '../core/failure.ts';

/**
 * @param what  names the file in errors, which never show its path: `the signing key file`
 * @throws Failure store_mismatch  when the file cannot be read, or may be read by everybody or written by the group
 *         (a mounted secret may be readable by its group)
 */
export function readPrivateFile(path: string, what: string): Buffer {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (cause) {
    throw new Failure('store_mismatch', `${what} cannot be read`, { cause });
  }
  try {
    if ((fstatSync(file).mode & 0o027) !== 0) {
      throw new Failure('store_mismatch', `${what} is open to others; its mode should be 0600`);
    }
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

/**
 * A new file with mode 0600, on the disk when this returns.
 *
 * @param what  as of `readPrivateFile`
 * @throws Failure already_exists  a key is never written over
 */
export function writePrivateFile(path: string, content: string | Uint8Array, what: string): void {
  let file: number;
  try {
    file = openSync(path, 'wx', 0o600);
  } catch (cause) {
    const exists = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST';
    if (exists) throw new Failure('already_exists', `${what} exists already`, { cause });
    throw new Failure('internal', `${what} cannot be written`, { cause });
  }
  try {
    writeFileSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
