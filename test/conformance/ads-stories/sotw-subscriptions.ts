/** State of the world: who is sent what. */
import { TWO } from './preambles.ts';
import { type Story, storiesOf } from './story.ts';

export const SOTW_SUBSCRIPTIONS: readonly Story[] = [
  ...storiesOf('sotw', 'wildcard.legacy', {
    'a first request without names gets all clusters': `
      ${TWO}
      > cluster
      < cluster a@1 b@1`,
    'a first request without names gets all listeners': `
      ${TWO}
      > listener
      < listener l@1`,
    'an empty world is answered, or the client would wait': `
      world listener
      > cluster
      < cluster
      ack cluster
      > listener
      < listener`,
    'a first request without names is no wildcard of routes': `
      ${TWO}
      > routes
      quiet`,
    'nor of endpoints': `
      ${TWO}
      > endpoints
      quiet`,
    'goes on with every empty list while no name was given': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      ack cluster
      > cluster nonce:last
      world cluster a=1 b=2
      < cluster a@1 b@2`,
    'ends with a name': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      ack cluster a
      < cluster a@1
      ack cluster
      world cluster a=1 b=2
      quiet`,
    'an empty list after names drops everything': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      ack cluster a
      < cluster a@1
      ack cluster
      > cluster nonce:last
      world cluster a=2 b=2
      quiet`,
    'a first request with a name is no wildcard': `
      ${TWO}
      > cluster a
      < cluster a@1
      ack cluster
      world cluster a=1 b=2
      quiet`,
  }),
  ...storiesOf('sotw', 'wildcard.explicit', {
    '"*" gets all clusters': `
      ${TWO}
      > cluster *
      < cluster a@1 b@1`,
    '"*" gets all routes': `
      ${TWO}
      > routes *
      < routes r@1 s@1`,
    '"*" gets all endpoints': `
      ${TWO}
      > endpoints *
      < endpoints a@1 b@1`,
    '"*" beside a name gets all': `
      ${TWO}
      > cluster * a
      < cluster a@1 b@1
      ack cluster
      world cluster a=1 b=2
      < cluster a@1 b@2`,
    'of full state every response carries all': `
      ${TWO}
      > cluster *
      < cluster a@1 b@1
      ack cluster
      world cluster a=1 b=1 c=1
      < cluster a@1 b@1 c@1`,
  }),
  ...storiesOf('sotw', 'wildcard.end', {
    'an empty list ends "*"': `
      ${TWO}
      > cluster *
      < cluster a@1 b@1
      ack cluster
      > cluster nonce:last
      world cluster a=2
      quiet`,
    'names without "*" end it': `
      ${TWO}
      > routes *
      < routes r@1 s@1
      ack routes
      > routes r nonce:last
      < routes r@1
      ack routes
      world routes r=1 s=2
      quiet`,
  }),
  ...storiesOf('sotw', 'names.subscribe', {
    'a name gets its resource and nothing else': `
      ${TWO}
      > routes r
      < routes r@1`,
    'two names get two': `
      ${TWO}
      > endpoints a b
      < endpoints a@1 b@1`,
    'a name that is added is answered alone': `
      ${TWO}
      > routes r
      < routes r@1
      ack routes
      > routes r s nonce:last
      < routes s@1`,
    'what was not named changes in silence': `
      ${TWO}
      > routes r
      < routes r@1
      ack routes
      world routes r=1 s=2
      quiet`,
    'an ACK may bring a name': `
      ${TWO}
      > routes r
      < routes r@1
      ack routes r s
      < routes s@1`,
    'a cluster that is added by name comes with all that are named': `
      ${TWO}
      > cluster a
      < cluster a@1
      ack cluster a b
      < cluster a@1 b@1`,
  }),
  ...storiesOf('sotw', 'names.missing', {
    'a route that is not there cannot be told': `
      ${TWO}
      > routes nope
      quiet`,
    'beside one that is there it is left out': `
      ${TWO}
      > routes r nope
      < routes r@1`,
    'of clusters an empty response says so': `
      ${TWO}
      > cluster nope
      < cluster`,
    'of clusters it is left out': `
      ${TWO}
      > cluster a nope
      < cluster a@1`,
    'of listeners an empty response says so': `
      ${TWO}
      > listener nope
      < listener`,
  }),
  ...storiesOf('sotw', 'names.appear', {
    'a name that was not there is sent when it is': `
      ${TWO}
      > routes late
      world routes r=1 s=1 late=1
      < routes late@1`,
    'alone, beside one that is there': `
      ${TWO}
      > routes r late
      < routes r@1
      ack routes
      world routes r=1 s=1 late=1
      < routes late@1`,
    'a cluster with all that are named': `
      ${TWO}
      > cluster a late
      < cluster a@1
      ack cluster
      world cluster a=1 b=1 late=1
      < cluster a@1 late@1`,
  }),
  ...storiesOf('sotw', 'names.removed', {
    'a cluster that goes is left out': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      ack cluster
      world cluster a=1
      < cluster a@1`,
    'the last one leaves an empty response': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      ack cluster
      world cluster
      < cluster`,
    'a route that goes cannot be told': `
      ${TWO}
      > routes r s
      < routes r@1 s@1
      ack routes
      world routes r=1
      quiet`,
    'and is sent when it comes back as another one': `
      ${TWO}
      > routes r s
      < routes r@1 s@1
      ack routes
      world routes r=1
      quiet
      world routes r=1 s=2
      < routes s@2`,
  }),
  ...storiesOf('sotw', 'names.unsubscribe', {
    'what is named no more changes in silence': `
      ${TWO}
      > routes r s
      < routes r@1 s@1
      ack routes
      > routes r nonce:last
      world routes r=1 s=2
      quiet`,
    'an empty list drops everything': `
      ${TWO}
      > routes r s
      < routes r@1 s@1
      ack routes
      > routes nonce:last
      world routes r=2 s=2
      quiet`,
    'a cluster that is named no more is not answered': `
      ${TWO}
      > cluster a b
      < cluster a@1 b@1
      ack cluster a
      quiet`,
    'dropping is not answered': `
      ${TWO}
      > routes r s
      < routes r@1 s@1
      ack routes r
      quiet
      world routes r=2 s=1
      < routes r@2`,
  }),
  ...storiesOf('sotw', 'names.again', {
    'who drops a name and takes it again is sent it again': `
      ${TWO}
      > routes r s
      < routes r@1 s@1
      ack routes
      > routes r nonce:last
      > routes r s nonce:last
      < routes s@1`,
    'the same names with the last nonce are silence': `
      ${TWO}
      > routes r s
      < routes r@1 s@1
      ack routes
      > routes r s nonce:last
      quiet`,
    'a request without nonce begins anew': `
      ${TWO}
      > routes r s
      < routes r@1 s@1
      ack routes
      > routes r s nonce:none
      < routes r@1 s@1`,
    'with the newest version': `
      ${TWO}
      > routes r s
      < routes r@1 s@1
      ack routes
      > routes r nonce:last
      world routes r=1 s=2
      > routes r s nonce:last
      < routes s@2`,
  }),
  ...storiesOf('sotw', 'names.odd', {
    'a name twice in one request is one': `
      ${TWO}
      > routes r r
      < routes r@1
      ack routes r r
      quiet`,
    'an empty name is one that is not there': `
      ${TWO}
      > routes empty
      quiet
      > routes r empty nonce:none
      < routes r@1`,
  }),
  ...storiesOf(
    'sotw',
    'names.odd',
    {
      'more names than the bound end the stream': `
        ${TWO}
        > endpoints many:11
        ends 8`,
    },
    { maxSubscriptions: 10 },
  ),
];
