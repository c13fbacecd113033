/**
 * A server of the bench, in a process of its own: `policy <folder or file>` is the whole application on a journal in
 * memory, with what follows as `--set`, `constant` a bare grpc-js server that says OK. Sends `{port}` to its parent, then answers each message with
 * what it has used: CPU time of the process, in microseconds, and its memory.
 */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { startApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { readPolicyFolder } from '../../src/policy/folder.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { CHECK_PATH, CONSTANT_ANSWER } from './wire.ts';

export interface Usage {
  readonly cpuMicros: number;
  readonly rssMiB: number;
}

async function startPolicyServer(
  path: string,
  more: readonly string[],
): Promise<{ port: number; ops: number }> {
  const set = ['authz', 'control', 'admin', 'ops'].map((listener) => `${listener}.port=0`);
  const { ports } = await startApp({
    config: loadConfig({ set: [...set, ...more] }),
    logger: createLogger('warn'),
    policies: [{ name: 'bench', source: readPolicyFolder(path) }],
  });
  return { port: ports.authz ?? 0, ops: ports.ops };
}

/** Takes bytes and gives bytes, as our own handler: what is measured against it is what we add. */
function startConstantServer(): Promise<number> {
  const bytes = (value: Buffer): Buffer => value;
  const method = { path: CHECK_PATH, requestStream: false, responseStream: false } as const;
  const converters = {
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  };
  const server = new Server();
  server.addService(
    { Check: { ...method, ...converters } },
    {
      Check: (_call: unknown, callback: (error: null, answer: Buffer) => void) =>
        callback(null, CONSTANT_ANSWER),
    },
  );
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    });
  });
}

function usage(): Usage {
  const { user, system } = process.cpuUsage();
  return { cpuMicros: user + system, rssMiB: Math.round(process.memoryUsage.rss() / 1_048_576) };
}

const [kind, path = '', ...more] = process.argv.slice(2);
// the parent has gone: nobody is left to end this process
process.once('disconnect', () => process.exit(0));
process.on('message', () => process.send?.(usage()));
process.send?.(
  kind === 'constant' ? { port: await startConstantServer() } : await startPolicyServer(path, more),
);
