/** `grpc.health.v1` as Envoy and Kubernetes ask it: one call on a connection of its own. */
import { Client, credentials } from '@grpc/grpc-js';
import { loadSync, type MethodDefinition } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';

interface HealthAnswer {
  readonly status: string;
}

const definitions = loadSync(protoPath, { keepCase: true, enums: String });
const METHOD = (
  definitions['grpc.health.v1.Health'] as unknown as {
    readonly Check: MethodDefinition<object, HealthAnswer>;
  }
).Check;
const DEADLINE_MS = 10_000;

/**
 * @param service  full name; '' is the server as a whole
 * @returns `SERVING` or `NOT_SERVING`; rejects with the gRPC error, for a service that is not there too
 */
export async function askHealth(port: number, service = ''): Promise<string> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  try {
    return await new Promise((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = METHOD;
      const deadline = { deadline: Date.now() + DEADLINE_MS };
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        { service },
        deadline,
        (error, answer) => {
          if (error === null) resolve(answer?.status ?? '');
          else reject(error);
        },
      );
    });
  } finally {
    client.close();
  }
}
