/** The order of what belongs together. */
import { settled } from './preambles.ts';
import { type Story, storiesOf } from './story.ts';

const DELTA = settled('delta');
const SOTW = settled('sotw');
const SOON = { holdMs: 300 };

export const ORDER: readonly Story[] = [
  ...storiesOf('delta', 'order.push', {
    'clusters, endpoints, listeners, routes, each after the ACK of the one before': `
      ${DELTA}
      world cluster a=2; endpoints a=2; listener l=2:r; routes r=2:a
      < cluster a@2
      < endpoints a@1
      ack endpoints
      quiet
      ack cluster
      < endpoints a@2
      quiet
      ack endpoints
      < listener l@2
      quiet
      ack listener
      < routes r@2`,
    'routes wait for the cluster that they name': `
      ${DELTA}
      world cluster a=1 b=1; routes r=2:b
      < cluster b@1
      quiet
      > endpoints +b
      < endpoints b@1
      ack endpoints
      quiet
      ack cluster
      < routes r@2`,
    'routes alone are sent at once': `
      ${DELTA}
      world routes r=2:a
      < routes r@2
      ack routes
      quiet`,
    'endpoints alone are sent at once': `
      ${DELTA}
      world endpoints a=2
      < endpoints a@2
      ack endpoints
      quiet`,
    'what is asked for by name does not wait: the client may need it to accept what came before': `
      ${DELTA}
      world cluster a=1 b=1; listener l=1:r; routes r=1:a; secrets key=1
      < cluster b@1
      > secrets +key
      < secrets key@1`,
    'a change that comes meanwhile takes the place of what has not been sent': `
      ${DELTA}
      world cluster a=1 b=1; routes r=2:b
      < cluster b@1
      world routes r=3:b
      quiet
      ack cluster
      < routes r@3
      ack routes
      quiet`,
  }),
  ...storiesOf('sotw', 'order.push', {
    'clusters, endpoints, listeners, routes, each after the ACK of the one before': `
      ${SOTW}
      world cluster a=2; endpoints a=2; listener l=2:r; routes r=2:a
      < cluster a@2
      < endpoints a@1
      ack endpoints
      quiet
      ack cluster
      < endpoints a@2
      quiet
      ack endpoints
      < listener l@2
      quiet
      ack listener
      < routes r@2`,
    'routes wait for the cluster that they name': `
      ${SOTW}
      world cluster a=1 b=1; routes r=2:b
      < cluster a@1 b@1
      quiet
      ack cluster
      < routes r@2`,
  }),
  ...storiesOf('delta', 'order.removal', {
    'a cluster goes after the routes that used it, its endpoints after it': `
      ${DELTA}
      world cluster b=1; routes r=2:b
      < cluster b@1
      quiet
      ack cluster
      < routes r@2
      quiet
      ack routes
      < cluster -a
      quiet
      ack cluster
      < endpoints -a`,
    'nothing goes while the routes without it are refused': `
      ${DELTA}
      world cluster b=1; routes r=2:b
      < cluster b@1
      ack cluster
      < routes r@2
      nack routes
      quiet`,
    'and it goes with the routes that are accepted': `
      ${DELTA}
      world cluster b=1; routes r=2:b
      < cluster b@1
      ack cluster
      < routes r@2
      nack routes
      world routes r=3:b
      < routes r@3
      ack routes
      < cluster -a`,
    'a listener goes before its routes': `
      ${DELTA}
      world listener l=1:r m=1:s; routes r=1:a s=1:a
      < listener m@1
      ack listener
      > routes +s
      < routes s@1
      ack routes
      world listener l=1:r; routes r=1:a
      < listener -m
      quiet
      ack listener
      < routes -s`,
    'a removal alone is sent at once': `
      ${DELTA}
      world cluster a=1 b=1
      < cluster b@1
      ack cluster
      world cluster a=1
      < cluster -b`,
  }),
  ...storiesOf('sotw', 'order.removal', {
    'a cluster is in every response until the routes without it are accepted': `
      ${SOTW}
      world cluster b=1; routes r=2:b
      < cluster a@1 b@1
      quiet
      ack cluster
      < routes r@2
      quiet
      ack routes
      < cluster b@1`,
    'it stays while the routes without it are refused': `
      ${SOTW}
      world cluster b=1; routes r=2:b
      < cluster a@1 b@1
      ack cluster
      < routes r@2
      nack routes
      quiet`,
    'it stays when something else changes meanwhile': `
      ${SOTW}
      world cluster b=1; routes r=2:b
      < cluster a@1 b@1
      ack cluster
      < routes r@2
      nack routes
      world cluster b=1 c=1
      < cluster a@1 b@1 c@1`,
  }),
  ...storiesOf(
    'delta',
    'order.bound',
    {
      'routes follow a cluster that nobody answers': `
        ${DELTA}
        world cluster a=1 b=1; routes r=2:b
        < cluster b@1
        <later routes r@2`,
      'a cluster goes although the new routes are not answered': `
        ${DELTA}
        world cluster b=1; routes r=2:b
        < cluster b@1
        ack cluster
        < routes r@2
        <later cluster -a`,
    },
    SOON,
  ),
  ...storiesOf(
    'sotw',
    'order.bound',
    {
      'routes follow a cluster that nobody answers': `
        ${SOTW}
        world cluster a=1 b=1; routes r=2:b
        < cluster a@1 b@1
        <later routes r@2`,
    },
    SOON,
  ),
  ...storiesOf('delta', 'order.warm', {
    'a cluster that changes is followed by its endpoints, as they are': `
      ${DELTA}
      world cluster a=2
      < cluster a@2
      < endpoints a@1
      ack endpoints
      ack cluster
      quiet`,
    'a new cluster is not: they are asked for': `
      ${DELTA}
      world cluster a=1 b=1
      < cluster b@1
      quiet`,
    'a client that comes back with an older cluster is sent the endpoints that it has': `
      ${DELTA}
      reconnect
      world cluster a=2
      > cluster =a@1
      < cluster a@2
      > endpoints +a =a@1
      < endpoints a@1`,
  }),
  ...storiesOf('sotw', 'order.warm', {
    'a cluster that changes is followed by its endpoints, as they are': `
      ${SOTW}
      world cluster a=2
      < cluster a@2
      < endpoints a@1
      ack endpoints
      ack cluster
      quiet`,
  }),
];
