import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unaryService } from '../../src/grpc/byte-service.ts';
import { createGrpcServer, type GrpcServer } from '../../src/grpc/server.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { leaveDeadSocket } from '../support/dead-socket.ts';

let folder: string;
let path: string;
const servers: GrpcServer[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'chancery-unix-'));
  path = join(folder, 'authz.sock');
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close(100);
  await rm(folder, { recursive: true, force: true });
});

function create(socketMode?: string): GrpcServer {
  const echo = unaryService('test.Echo', 'Say', async (bytes) => bytes);
  const limits = { maxMessageBytes: 1024, maxConcurrentStreams: 10 };
  const options = { address: `unix:${path}`, port: 1, ...limits, ...(socketMode && { socketMode }) };
  const server = createGrpcServer(options, [echo], silentLogger);
  servers.push(server);
  return server;
}
const modeOf = async (): Promise<string> => ((await stat(path)).mode & 0o777).toString(8);

describe('a gRPC port on a Unix socket', () => {
  it('is a file that its group may use, and is gone after the stop', async () => {
    const server = create();
    expect(await server.listen()).toBe(0);
    expect(await modeOf()).toBe('660');
    await server.close(100);
    expect(existsSync(path)).toBe(false);
  });

  it('has another mode when told', async () => {
    await create('0600').listen();
    expect(await modeOf()).toBe('600');
  });

  it('takes the place of a file that a killed process has left', async () => {
    await leaveDeadSocket(path);
    expect((await stat(path)).isSocket()).toBe(true);
    await create().listen();
    expect(await modeOf()).toBe('660');
  });

  it('is an error while another process listens, which goes on', async () => {
    await using undo = new AsyncDisposableStack();
    const other = createServer().listen(path);
    await once(other, 'listening');
    undo.defer(() => void other.close());
    await expect(create().listen()).rejects.toThrow(`cannot listen on unix:${path}: another process does`);
    expect(other.listening).toBe(true);
    expect((await stat(path)).isSocket()).toBe(true);
  });

  it('is an error where a file is that is no socket, which stays', async () => {
    await writeFile(path, 'mine');
    await expect(create().listen()).rejects.toThrow(`cannot listen on unix:${path}: it is no socket`);
    expect((await stat(path)).isFile()).toBe(true);
  });

  it('is an error where the folder is not there', async () => {
    path = join(folder, 'nowhere', 'authz.sock');
    await expect(create().listen()).rejects.toThrow(`cannot listen on unix:${path}`);
  });
});
