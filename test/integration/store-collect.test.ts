import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Digest } from '../../src/core/digest.ts';
import { type Instance, initInstance, runChancery } from '../support/serve-process.ts';
import { aRevision, type ContentWriter, openWriter, verifyFile } from '../support/store-content.ts';

describe('chancery store collect', () => {
  let instance: Instance;
  let writer: ContentWriter;
  let idle: Digest;
  beforeAll(async () => {
    instance = await initInstance();
    writer = await openWriter(instance);
    await writer.append('publish', await aRevision(writer, 1, 10_000));
    idle = await writer.store.blobs.put(Buffer.from('of a publish that was refused'));
  });
  afterAll(async () => {
    await writer?.close();
    await instance?.remove();
  });

  const collect = (...more: readonly string[]) =>
    runChancery(['store', 'collect', '--config', instance.configFile, ...more]);
  const age = (seconds: number): void => {
    const database = new DatabaseSync(instance.storeFile, { timeout: 5_000 });
    database.exec(`UPDATE blob_put SET at = (unixepoch() - ${seconds}) * 1000`);
    database.close();
  };

  it('keeps what nothing refers to for a day', async () => {
    age(86_000);
    expect(await collect()).toEqual({
      code: 0,
      stdout: 'deleted: 0 blobs that nothing refers to, 0 bytes\n',
      stderr: '',
    });
    expect((await writer.store.blobs.get(idle)).length).toBe(29);
  });

  it('deletes it then, or when the configuration says, and nothing else', async () => {
    const { code, stdout } = await collect('--json', '--set', 'store.blobGraceSeconds=3600');
    expect({ code, result: JSON.parse(stdout) as unknown }).toEqual({
      code: 0,
      result: { blobs: 1, bytes: 29, more: false },
    });
    await expect(writer.store.blobs.get(idle)).rejects.toMatchObject({ code: 'not_found' });
    expect(await verifyFile(instance.storeFile, instance.genesis)).toMatchObject({ ok: true });
  });

  it('takes no time that a publish could outlast', async () => {
    const { code, stderr } = await collect('--set', 'store.blobGraceSeconds=599');
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/blobGraceSeconds/) });
  });
});
