/** Records as chunks of JSON lines in blobs, and back. */

import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { toCanonicalJson } from '../core/canonical-json.ts';
import { sha256 } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import { parseJson } from '../core/parse-json.ts';
import { CHUNK_BYTES, type CheckpointSection, MAX_RECORD_BYTES } from './checkpoint.ts';
import type { CapturedSection } from './folded-state.ts';
import type { Blobs } from './journal.ts';
import type { Slices } from './slices.ts';

// both run on libuv's threads
const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

type Chunk = CheckpointSection['chunks'][number];

/** @throws Failure internal  for a record that is too large; of `blobs` */
export async function writeChunks(
  { name, version, records }: CapturedSection,
  blobs: Pick<Blobs, 'put'>,
  slices: Slices,
): Promise<CheckpointSection> {
  const chunks: Chunk[] = [];
  let lines: string[] = [];
  let size = 0;
  const total = { records: 0, bytes: 0 };
  const flush = async (): Promise<void> => {
    const content = Buffer.from(lines.join(''));
    lines = [];
    size = 0;
    chunks.push({ digest: sha256(content), blob: await blobs.put(await compress(content)) });
  };
  for (const record of records) {
    const line = `${toCanonicalJson(record)}\n`;
    const bytes = Buffer.byteLength(line);
    if (bytes > MAX_RECORD_BYTES) throw new Failure('internal', `a record of section ${name} is too large`);
    if (lines.length > 0 && size + bytes > CHUNK_BYTES) await flush();
    lines.push(line);
    size += bytes;
    total.records += 1;
    total.bytes += bytes;
    await slices.next();
  }
  if (lines.length > 0) await flush();
  return { name, version, ...total, chunks };
}

/** @throws Failure store_mismatch  when the chunks are not what the section says; of `blobs` */
export async function readChunks(
  section: CheckpointSection,
  blobs: Pick<Blobs, 'get'>,
): Promise<CapturedSection> {
  const { name, version } = section;
  const records: JsonObject[] = [];
  for (const chunk of section.chunks) {
    for (const record of await readChunk(chunk, blobs)) records.push(record);
    if (records.length > section.records) throw odd('a section has more records than it says');
  }
  if (records.length !== section.records) throw odd('a section has fewer records than it says');
  return { name, version, records };
}

async function readChunk({ digest, blob }: Chunk, blobs: Pick<Blobs, 'get'>): Promise<readonly JsonObject[]> {
  const compressed = await blobs.get(blob);
  let content: Buffer;
  try {
    content = await decompress(compressed, { maxOutputLength: MAX_RECORD_BYTES });
  } catch (cause) {
    throw odd('a chunk cannot be read', cause);
  }
  if (sha256(content) !== digest) throw odd('a chunk is another one than the manifest says');
  const lines = content.toString('utf8').split('\n');
  if (lines.pop() !== '') throw odd('a chunk does not end with a line');
  return lines.map(parseRecord);
}

function parseRecord(line: string): JsonObject {
  const value = parseJson(line) as Json;
  if (!isJsonObject(value)) throw odd('a record is no object');
  return value;
}

function odd(detail: string, cause?: unknown): Failure {
  return new Failure('store_mismatch', `the checkpoint is damaged: ${detail}`, { cause });
}
