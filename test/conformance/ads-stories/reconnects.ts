/** Clients that come back, and what versions mean. */
import { TWO } from './preambles.ts';
import { type Story, storiesOf } from './story.ts';

const HAD_TWO = `
  ${TWO}
  > cluster
  < cluster a@1 b@1
  ack cluster
  quiet`;
const HAD_ROUTES = `
  ${TWO}
  > routes +r +s
  < routes r@1 s@1
  ack routes
  quiet`;

export const RECONNECTS: readonly Story[] = [
  ...storiesOf('delta', 'version.initial', {
    'a client that has everything is sent nothing': `
      ${HAD_TWO}
      reconnect
      > cluster =a@1 =b@1
      < cluster`,
    'a client that has an older one is sent the newer': `
      ${HAD_TWO}
      reconnect
      world cluster a=1 b=2
      > cluster =a@1 =b@1
      < cluster b@2`,
    'a version that nobody knows is replaced': `
      ${HAD_TWO}
      reconnect
      > cluster =a@? =b@1
      < cluster a@1`,
    'what it does not speak of is sent': `
      ${HAD_TWO}
      reconnect
      > cluster =a@1
      < cluster b@1`,
    'what was deleted meanwhile is told': `
      ${HAD_TWO}
      reconnect
      world cluster a=1
      > cluster =a@1 =b@1
      < cluster
      ack cluster
      < cluster -b`,
    'what never was is told to be gone': `
      ${HAD_TWO}
      reconnect
      > cluster =a@1 =b@1 =old@?
      < cluster
      ack cluster
      < cluster -old`,
    'by name: what it has is not sent': `
      ${HAD_ROUTES}
      reconnect
      > routes +r +s =r@1 =s@1
      < routes`,
    'by name: what is older is sent': `
      ${HAD_ROUTES}
      reconnect
      world routes r=2 s=1
      > routes +r +s =r@1 =s@1
      < routes r@2`,
    'by name: what it lacks is sent': `
      ${HAD_ROUTES}
      reconnect
      > routes +r +s =r@1
      < routes s@1`,
    'by name: what was deleted meanwhile is told': `
      ${HAD_ROUTES}
      reconnect
      world routes r=1
      > routes +r +s =r@1 =s@1
      < routes
      ack routes
      < routes -s`,
    'a version of what it does not ask for means nothing': `
      ${HAD_ROUTES}
      reconnect
      > routes +r =r@1 =s@1
      < routes
      ack routes
      world routes r=1 s=2
      quiet`,
    'and what changes afterwards is sent': `
      ${HAD_TWO}
      reconnect
      > cluster =a@1 =b@1
      < cluster
      ack cluster
      world cluster a=2 b=1
      < cluster a@2`,
  }),
  ...storiesOf('delta', 'version.first', {
    'in a later request they mean nothing': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      ack cluster =ghost@?
      quiet`,
    'nor beside a subscription': `
      ${TWO}
      > routes +r
      < routes r@1
      ack routes
      > routes +s =s@?
      < routes s@1`,
    'another type has a first request of its own': `
      ${HAD_TWO}
      > listener
      < listener l@1
      ack listener
      quiet
      reconnect
      > cluster =a@1 =b@1
      < cluster
      ack cluster
      > listener =l@1
      < listener`,
  }),
  ...storiesOf('sotw', 'version.first', {
    'a first request is answered with all, whatever version it says': `
      ${HAD_TWO}
      reconnect
      > cluster version:last
      < cluster a@1 b@1`,
    'and so is one that knows another version': `
      ${HAD_TWO}
      reconnect
      > cluster version:bogus
      < cluster a@1 b@1`,
    'what was deleted meanwhile is not in it': `
      ${HAD_TWO}
      reconnect
      world cluster a=1
      > cluster version:last
      < cluster a@1`,
  }),
  ...storiesOf('delta', 'version.digest', {
    'content that comes back has its version back': `
      ${HAD_TWO}
      world cluster a=2 b=1
      < cluster a@2
      ack cluster
      world cluster a=1 b=1
      < cluster a@1
      ack cluster
      quiet
      reconnect
      > cluster =a@1 =b@1
      < cluster`,
    'another version is another content': `
      ${HAD_TWO}
      world cluster a=2 b=1
      < cluster a@2
      ack cluster
      quiet
      reconnect
      > cluster =a@1 =b@1
      < cluster a@2`,
  }),
];
