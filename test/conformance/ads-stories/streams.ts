/** What holds for a stream as a whole, in both variants: flow, identity, scope, types. */
import { settled, TWO } from './preambles.ts';
import { inBothVariants, type Story, storiesOf } from './story.ts';

const ONE_OF_EACH =
  'world cluster a=1; secrets key=1; extensions f=1; runtime layer=1; listener l=1; routes r=1';
const NAMES = {
  cluster: 'a',
  endpoints: 'a',
  secrets: 'key',
  extensions: 'f',
  runtime: 'layer',
  listener: 'l',
  routes: 'r',
};

export const STREAMS: readonly Story[] = [
  ...inBothVariants('flow.outstanding', {
    'the next response waits for the answer, and is of the newest state': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      world cluster a=2 b=2
      quiet
      world cluster a=3 b=3
      quiet
      ack cluster
      < cluster a@3 b@3
      ack cluster
      quiet`,
    'what came and went meanwhile is never sent': `
      ${TWO}
      > listener
      < listener l@1
      world listener l=2
      world listener l=1
      ack listener
      quiet`,
    'types do not wait for each other where they need not': `
      ${TWO}
      > listener
      < listener l@1
      > cluster
      < cluster a@1 b@1`,
    'a refusal ends the wait too': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      world cluster a=2 b=2
      nack cluster
      < cluster a@2 b@2`,
  }),
  ...inBothVariants('flow.slow', {
    'a client that does not read is sent the newest state when it does': `
      world cluster a=1; listener
      > cluster
      < cluster a@1
      ack cluster
      quiet
      pause
      pad 400000
      world cluster a=2
      world cluster a=3
      world cluster a=4
      world cluster a=5
      resume
      < cluster a@2
      ack cluster
      < cluster a@5
      ack cluster
      quiet`,
    'it holds up nobody else': `
      world cluster a=1; listener
      world@edge-2 cluster x=1; listener
      > cluster
      < cluster a@1
      ack cluster
      quiet
      client B edge-2
      > cluster
      < cluster x@1
      ack cluster
      client A
      pause
      pad 400000
      world cluster a=2
      client B
      world@edge-2 cluster x=2
      < cluster x@2
      client A
      resume
      < cluster a@2`,
  }),
  ...inBothVariants('ttl', {
    'a client that supports it is sent no TTL and no heartbeat': `
      ${TWO}
      > cluster wants-ttl
      < cluster a@1 b@1
      ack cluster
      quiet
      world cluster a=1 b=1
      quiet`,
  }),
  ...inBothVariants('identity', {
    'a first request without node ends the stream': `
      ${TWO}
      > cluster node:
      ends 3`,
    'a node that is not registered is refused': `
      ${TWO}
      > cluster node:nobody
      ends 7`,
    'a node that the peer is not is refused, with the same words': `
      ${TWO}
      > cluster node:stolen
      ends 7`,
    'the node counts for all types of the stream': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      ack cluster
      > listener
      < listener l@1`,
    'the same node may be said again': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      ack cluster
      > listener node:edge-1
      < listener l@1`,
    'another node later ends the stream': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      > listener node:edge-2
      ends 3`,
    'the stream of a node that is deleted ends': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      delete
      ends 7`,
    'a third stream of a node ends its oldest': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      client B
      > cluster
      < cluster a@1 b@1
      client C
      > cluster
      < cluster a@1 b@1
      client A
      ends 8`,
  }),
  ...inBothVariants('scope', {
    'each node is sent its own': `
      world cluster a=1; listener
      world@edge-2 cluster x=1; listener
      > cluster
      < cluster a@1
      client B edge-2
      > cluster
      < cluster x@1`,
    'what changes for another node is silence': `
      world cluster a=1; listener
      world@edge-2 cluster x=1; listener
      > cluster
      < cluster a@1
      ack cluster
      world@edge-2 cluster x=2
      quiet`,
  }),
  ...storiesOf('delta', 'scope', {
    'what only another node has does not exist': `
      world cluster a=1; listener l=1; routes r=1
      world@edge-2 cluster x=1; listener m=1; routes theirs=1
      > routes +theirs
      < routes -theirs`,
  }),
  ...storiesOf('sotw', 'scope', {
    'what only another node has does not exist': `
      world cluster a=1; listener l=1; routes r=1
      world@edge-2 cluster x=1; listener m=1; routes theirs=1
      > cluster x
      < cluster`,
  }),
  ...inBothVariants('types.unknown', {
    'a request without type ends the stream': `
      ${TWO}
      >
      ends 3`,
  }),
  ...storiesOf('delta', 'types.unknown', {
    'a name of a type that is not served does not exist': `
      ${TWO}
      > unserved +x
      < unserved -x`,
    'and disturbs no other type': `
      ${TWO}
      > unserved +x
      > cluster
      < unserved -x
      < cluster a@1 b@1
      ack cluster
      world cluster a=2 b=1
      < cluster a@2`,
  }),
  ...storiesOf('sotw', 'types.unknown', {
    'a type that is not served is not answered, and disturbs no other': `
      ${TWO}
      > unserved x
      quiet
      > cluster
      < cluster a@1 b@1`,
  }),
  ...Object.entries(NAMES).flatMap(([type, name]) => [
    ...storiesOf('delta', 'types.served', {
      [`${type} by name`]: `
        ${ONE_OF_EACH}
        > ${type} +${name}
        < ${type} ${name}@1
        ack ${type}
        quiet`,
    }),
    ...storiesOf('sotw', 'types.served', {
      [`${type} by name`]: `
        ${ONE_OF_EACH}
        > ${type} ${name}
        < ${type} ${name}@1
        ack ${type}
        quiet`,
    }),
  ]),
  ...storiesOf('delta', 'types.served', {
    'a filter that changes is sent, and nothing else': `
      ${ONE_OF_EACH}
      > extensions +f
      < extensions f@1
      ack extensions
      > listener
      < listener l@1
      ack listener
      world extensions f=2
      < extensions f@2
      ack extensions
      quiet`,
    'a runtime layer that goes is told': `
      ${ONE_OF_EACH}
      > runtime +layer
      < runtime layer@1
      ack runtime
      world runtime
      < runtime -layer`,
  }),
  ...storiesOf('delta', 'control-plane', {
    'each response says who answers': settled('delta'),
  }),
  ...storiesOf('sotw', 'control-plane', {
    'each response says who answers': settled('sotw'),
  }),
  ...inBothVariants('flow.slow', {
    'a state that cannot be built leaves the last one that could': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      ack cluster
      broken
      world cluster a=2 b=2
      quiet
      mended
      world cluster a=3 b=3
      < cluster a@3 b@3`,
  }),
];
