import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Failure } from '../../src/core/failure.ts';
import { SQLITE_DEFAULTS } from '../../src/store/options.ts';
import { type SqliteClient, startSqliteClient } from '../../src/store/sqlite-client.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';

describe('the client of the SQLite thread', () => {
  let client: SqliteClient;
  let opened = 0;
  beforeEach(async () => {
    opened = 0;
    client = await startSqliteClient({
      settings: { options: { ...SQLITE_DEFAULTS, path: 'unused', callTimeoutMs: 2_000 }, create: false },
      logger: silentLogger,
      onHint: () => {},
      onOpened: () => {
        opened += 1;
      },
      workerFile: new URL('../support/journal-dying-worker.ts', import.meta.url),
    });
  });
  afterEach(() => client.close());

  it('fails a call that is not answered at its deadline, and goes on', async () => {
    await expect(client.call('diagnose', {})).rejects.toMatchObject({
      code: 'store_unavailable',
      detail: 'the store did not answer in time',
    });
    await expect(client.call('find', { id: 'x' })).resolves.toBeUndefined();
  });

  it('fails what waits when the thread ends, and starts another one for later calls', async () => {
    const waiting = Promise.allSettled([client.call('diagnose', {}), client.call('head', {})]);
    expect(
      (await waiting).map((result) => result.status === 'rejected' && Failure.from(result.reason).code),
    ).toEqual(['store_unavailable', 'store_unavailable']);
    await eventually(() =>
      client.call('find', { id: 'x' }).then(
        () => true,
        () => false,
      ),
    );
    expect(opened).toBe(2);
  });

  it('answers no call after it was closed', async () => {
    await client.close();
    await expect(client.call('find', { id: 'x' })).rejects.toMatchObject({ code: 'store_unavailable' });
  });
});

async function eventually(condition: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 8_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error('the condition did not become true in time');
    await sleep(50);
  }
}
