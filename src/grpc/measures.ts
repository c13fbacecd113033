/** What happens at the door of a port with TLS. */
import type { Metrics } from '../telemetry/metrics.ts';

export interface DoorMeasures {
  refused(reason: string): void;
  opened(): void;
  closed(): void;
}

/** Registered once for the ports of a process. */
export function createDoorMeasures(metrics: Metrics): (port: 'authz' | 'control') => DoorMeasures {
  const handshakes = metrics.counter(
    'chancery_grpc_refused_handshakes_total',
    'TLS handshakes that were refused, by why',
    ['port', 'reason'],
  );
  const connections = metrics.gauge('chancery_grpc_tls_connections', 'Connections that are open with TLS', [
    'port',
  ]);
  return (port) => {
    let open = 0;
    return {
      refused: (reason) => handshakes.add({ port, reason }),
      opened: () => connections.set((open += 1), { port }),
      closed: () => connections.set((open -= 1), { port }),
    };
  };
}
