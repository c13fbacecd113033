import { setImmediate } from 'node:timers/promises';
import type { Listener } from '../../src/node/contact.ts';
import { probePosition } from '../../src/node/probe.ts';
import { eventually } from './eventually.ts';
import type { Stack } from './stack.ts';

/**
 * Waits until a node has acknowledged all that the journal says, endpoints too, and then the worker of its Envoy answers
 * by the last change of its rules: what it had sent before that has been sent. Back ends of this process have then read
 * it, too.
 */
export async function untilEnforced(
  { app, client }: Pick<Stack, 'app' | 'client'>,
  id: string,
  listener: Listener,
): Promise<void> {
  const place = app.world.state.registry.view.lastChangeOf(id);
  if (place === undefined) throw new Error(`there is no node ${id}`);
  const { epoch, seq } = place;
  const head = app.world.follower.position();
  await eventually(`${id} has acknowledged ${head.seq}`, async () => {
    const { data } = await client.GET('/v1/nodes/{id}/status', { params: { path: { id } } });
    return Number(data?.appliedPosition?.split('.')[1] ?? 0) >= head.seq;
  });
  await eventually(`${id} enforces ${seq}`, async () => {
    return (await probePosition({ listener, identity: undefined })) === `${epoch}.${seq}`;
  });
  for (let turn = 0; turn < 3; turn += 1) await setImmediate();
}
