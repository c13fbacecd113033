/**
 * The outside of an OPA bundle: a tar archive (POSIX ustar or pax) in gzip (RFC 1952), read with limits and written
 * so that the same files are always the same bytes. What a file means is not asked here.
 */
import { promisify } from 'node:util';
import { constants, gunzip, gzip } from 'node:zlib';
import { packTar, unpackTar } from 'modern-tar';
import { Failure } from '../core/failure.ts';

/** Path to content; paths are relative, with `/`. */
export type BundleFiles = ReadonlyMap<string, Uint8Array>;

/** Twice what a source may have: an archive pads each file, and may hold files that are not read. */
const MAX_UNPACKED_BYTES = 16_777_216;
const MAX_ENTRIES = 2_048;
const MAX_PATH = 253;
const BLOCK = 512;
const MAX_RECORDS_BYTES = 65_536;
/** byte of the gzip header that names the system: unknown, whichever it is (RFC 1952, 2.3.1) */
const GZIP_SYSTEM_BYTE = 9;
const UNKNOWN_SYSTEM = 255;

/**
 * @throws Failure request_malformed  when it is not a tar archive in gzip, or larger than 16 MiB unpacked;
 *         policy_rejected  with the file: a path that leaves the archive or comes twice, a link, a device
 */
export async function unpackBundle(bytes: Uint8Array): Promise<BundleFiles> {
  const archive = await decompress(bytes);
  expectWholeRecords(archive);
  let entries = 0;
  const files = new Map<string, Uint8Array>();
  const unpacked = await unpackTar(archive, {
    strict: true,
    filter: ({ name, type }) => {
      entries += 1;
      if (entries > MAX_ENTRIES) throw malformed(`has more than ${MAX_ENTRIES} entries`);
      const isPlain = type === 'file' || type === 'directory';
      if (!isPlain) throw bundleFailure(name, 'is neither a file nor a folder', 'not_a_file');
      toPath(name);
      return type === 'file';
    },
  }).catch((thrown: unknown) => {
    throw thrown instanceof Failure ? thrown : malformed('is not a whole tar archive', thrown);
  });
  for (const { header, data = new Uint8Array() } of unpacked) {
    const path = toPath(header.name);
    if (files.has(path)) throw bundleFailure(path, 'is there twice', 'duplicate');
    files.set(path, data);
  }
  return files;
}

export async function packBundle(files: BundleFiles): Promise<Uint8Array> {
  const entries = [...files].sort(([a], [b]) => (a < b ? -1 : 1));
  const archive = await packTar(
    entries.map(([name, body]) => ({
      header: { name, size: body.length, type: 'file', mode: 0o644, mtime: new Date(0) },
      body,
    })),
  );
  const packed = await promisify(gzip)(archive, { level: constants.Z_BEST_COMPRESSION });
  packed[GZIP_SYSTEM_BYTE] = UNKNOWN_SYSTEM;
  return packed;
}

/** What is wrong with one file of a bundle. */
export function bundleFailure(file: string, message: string, code: string, cause?: unknown): Failure {
  const shown = file.slice(0, MAX_PATH);
  return new Failure('policy_rejected', `The bundle was refused: ${shown} ${message}`, {
    cause,
    issues: [{ file: shown, code, message }],
  });
}

async function decompress(bytes: Uint8Array): Promise<Uint8Array> {
  try {
    return await promisify(gunzip)(bytes, { maxOutputLength: MAX_UNPACKED_BYTES });
  } catch (cause) {
    const tooLarge = cause instanceof Error && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE';
    throw malformed(tooLarge ? `unpacks to more than ${MAX_UNPACKED_BYTES} bytes` : 'is not gzip', cause);
  }
}

/**
 * pax records (POSIX.1-2017, `pax`, "pax Extended Header") say how long they are. What reads them next believes that,
 * at a cost of the square of their number when it is not true: so it is checked in each block that could be their header.
 */
function expectWholeRecords(archive: Uint8Array): void {
  const text = Buffer.from(archive.buffer, archive.byteOffset, archive.length);
  for (let at = 0; at + BLOCK <= text.length; at += BLOCK) {
    const header = text.subarray(at, at + BLOCK);
    const type = String.fromCharCode(header[156] ?? 0);
    if ((type !== 'x' && type !== 'g') || !isHeader(header)) continue;
    const bytes = octal(header, 124, 136);
    const isWhole = bytes <= MAX_RECORDS_BYTES && areRecords(text.subarray(at + BLOCK, at + BLOCK + bytes));
    if (!isWhole) throw malformed('has pax records that are not whole, or too many');
  }
}

/** Whether the checksum of a block is that of a header: the sum of its bytes, with spaces in the place of itself. */
function isHeader(block: Buffer): boolean {
  const sum = block.reduce((all, byte, at) => all + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  return octal(block, 148, 156) === sum;
}

/** As whatever reads the header reads it: up to a zero byte, spaces are nothing. @returns NaN  when it is no number */
function octal(block: Buffer, start: number, end: number): number {
  const [text = ''] = block.toString('latin1', start, end).split('\0', 1);
  return Number(`0o${text.replaceAll(' ', '').padStart(1, '0')}`);
}

/** `<length> <key>=<value>\n`, one after the other: the length is that of the whole record. */
function areRecords(records: Buffer): boolean {
  let at = 0;
  while (at < records.length) {
    const [, digits = ''] = /^([1-9][0-9]{0,4}) /.exec(records.toString('latin1', at, at + 6)) ?? [];
    const end = at + Number(digits);
    if (end <= at + digits.length + 1 || end > records.length || records[end - 1] !== 0x0a) return false;
    at = end;
  }
  return true;
}

/** `opa build` writes `/data.json`, and `tar -C folder .` writes `./data.json`: both mean `data.json`. */
function toPath(name: string): string {
  const path = name.replace(/^\.?\//, '').replace(/\/$/, '');
  const isRoot = path === '' || path === '.';
  const segments = path.split('/');
  const isPlain = (segment: string): boolean => segment !== '' && segment !== '.' && segment !== '..';
  if (!isRoot && (!segments.every(isPlain) || /[\p{Cc}\\\ufffd]/u.test(path) || path.length > MAX_PATH)) {
    throw bundleFailure(name, 'is not a plain path inside the bundle', 'path_refused');
  }
  return path;
}

function malformed(message: string, cause?: unknown): Failure {
  return new Failure('request_malformed', `The bundle ${message}`, { cause });
}
