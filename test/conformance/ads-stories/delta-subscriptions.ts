/** Incremental xDS: who is sent what. */
import { TWO } from './preambles.ts';
import { type Story, storiesOf } from './story.ts';

export const DELTA_SUBSCRIPTIONS: readonly Story[] = [
  ...storiesOf('delta', 'wildcard.legacy', {
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
    'nor of filters': `
      ${TWO}; extensions f=1
      > extensions
      quiet`,
    'a later request without names asks for nothing': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      ack cluster
      > cluster
      quiet`,
    'what appears is sent, and only that': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      ack cluster
      world cluster a=1 b=1 c=1
      < cluster c@1`,
    'a first request with a name is no wildcard': `
      ${TWO}
      > cluster +a
      < cluster a@1
      ack cluster
      world cluster a=1 b=2
      quiet`,
    'goes on when a name is given': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      ack cluster
      > cluster +a
      < cluster a@1
      ack cluster
      world cluster a=1 b=2
      < cluster b@2`,
  }),
  ...storiesOf('delta', 'wildcard.explicit', {
    '"*" gets all clusters': `
      ${TWO}
      > cluster +*
      < cluster a@1 b@1`,
    '"*" gets all routes': `
      ${TWO}
      > routes +*
      < routes r@1 s@1`,
    '"*" gets all endpoints': `
      ${TWO}
      > endpoints +*
      < endpoints a@1 b@1`,
    '"*" in an empty world is answered': `
      world listener
      > routes +*
      < routes`,
    '"*" beside a name that is not there says so': `
      ${TWO}
      > routes +* +nope
      < routes r@1 s@1 -nope`,
    '"*" asked for once more gets everything again': `
      ${TWO}
      > routes +*
      < routes r@1 s@1
      ack routes
      > routes +*
      < routes r@1 s@1`,
    '"*" after names gets the rest': `
      ${TWO}
      > routes +r
      < routes r@1
      ack routes
      > routes +*
      < routes r@1 s@1`,
  }),
  ...storiesOf('delta', 'wildcard.end', {
    'who drops "*" hears no more': `
      ${TWO}
      > cluster +*
      < cluster a@1 b@1
      ack cluster
      > cluster -*
      world cluster a=2 b=2 c=1
      quiet`,
    'who began without names drops it as "*"': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      ack cluster
      > cluster -*
      world cluster a=2
      quiet`,
    'names that were given stay': `
      ${TWO}
      > cluster +* +a
      < cluster a@1 b@1
      ack cluster
      > cluster -*
      world cluster a=2 b=2
      < cluster a@2`,
    'a name that is dropped under "*" is answered with what it is': `
      ${TWO}
      > cluster +* +a
      < cluster a@1 b@1
      ack cluster
      > cluster -a
      < cluster a@1`,
    'a name that is not there, dropped under "*", is answered with its absence': `
      ${TWO}
      > cluster +* +nope
      < cluster a@1 b@1 -nope
      ack cluster
      > cluster -nope
      < cluster -nope`,
    'what was dropped with "*" comes anew when it is asked for': `
      ${TWO}
      > cluster +*
      < cluster a@1 b@1
      ack cluster
      > cluster -*
      > cluster +b
      < cluster b@1`,
  }),
  ...storiesOf('delta', 'names.subscribe', {
    'a name gets its resource and nothing else': `
      ${TWO}
      > routes +r
      < routes r@1`,
    'two names get two': `
      ${TWO}
      > endpoints +a +b
      < endpoints a@1 b@1`,
    'a name that is added gets what it names': `
      ${TWO}
      > routes +r
      < routes r@1
      ack routes
      > routes +s
      < routes s@1`,
    'what was not named changes in silence': `
      ${TWO}
      > routes +r
      < routes r@1
      ack routes
      world routes r=1 s=2
      quiet`,
    'an ACK may bring a name': `
      ${TWO}
      > routes +r
      < routes r@1
      ack routes +s
      < routes s@1`,
  }),
  ...storiesOf('delta', 'names.missing', {
    'a name that is not there is told at once': `
      ${TWO}
      > routes +nope
      < routes -nope`,
    'beside one that is there': `
      ${TWO}
      > routes +r +nope
      < routes r@1 -nope`,
    'of endpoints too': `
      ${TWO}
      > endpoints +nope
      < endpoints -nope`,
    'of clusters by name too': `
      ${TWO}
      > cluster +nope
      < cluster -nope`,
    'of secrets too': `
      ${TWO}
      > secrets +nope
      < secrets -nope`,
    'who asks again is told again': `
      ${TWO}
      > routes +nope
      < routes -nope
      ack routes
      > routes +nope
      < routes -nope`,
    'is told once': `
      ${TWO}
      > routes +nope
      < routes -nope
      ack routes
      world routes r=2 s=1
      quiet`,
  }),
  ...storiesOf('delta', 'names.appear', {
    'a name that was not there is sent when it is': `
      ${TWO}
      > routes +late
      < routes -late
      ack routes
      world routes r=1 s=1 late=1
      < routes late@1`,
    'also while the answer that it is not there is on its way': `
      ${TWO}
      > routes +late
      world routes r=1 s=1 late=1
      < routes -late
      ack routes
      < routes late@1`,
    'not when it was dropped meanwhile': `
      ${TWO}
      > routes +late
      < routes -late
      ack routes -late
      world routes r=1 s=1 late=1
      quiet`,
  }),
  ...storiesOf('delta', 'names.removed', {
    'what goes is told by name': `
      ${TWO}
      > routes +r +s
      < routes r@1 s@1
      ack routes
      world routes r=1
      < routes -s`,
    'what goes is told to who has all': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      ack cluster
      world cluster a=1
      < cluster -b`,
    'the last one too': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      ack cluster
      world cluster
      < cluster -a -b`,
    'the subscription outlives it': `
      ${TWO}
      > routes +s
      < routes s@1
      ack routes
      world routes r=1
      < routes -s
      ack routes
      world routes r=1 s=1
      < routes s@1`,
    'what nobody asked for goes in silence': `
      ${TWO}
      > routes +r
      < routes r@1
      ack routes
      world routes r=1
      quiet`,
    'is told once': `
      ${TWO}
      > routes +s
      < routes s@1
      ack routes
      world routes r=1
      < routes -s
      ack routes
      world routes r=2
      quiet`,
  }),
  ...storiesOf('delta', 'names.unsubscribe', {
    'what was dropped changes in silence': `
      ${TWO}
      > routes +r +s
      < routes r@1 s@1
      ack routes
      > routes -s
      world routes r=1 s=2
      quiet`,
    'what was dropped goes in silence': `
      ${TWO}
      > routes +r +s
      < routes r@1 s@1
      ack routes
      > routes -s
      world routes r=1
      quiet`,
    'the rest goes on': `
      ${TWO}
      > routes +r +s
      < routes r@1 s@1
      ack routes
      > routes -s
      world routes r=2 s=2
      < routes r@2`,
    'dropping what was never asked for is no error': `
      ${TWO}
      > routes +r
      < routes r@1
      ack routes
      > routes -s -nope
      quiet
      world routes r=2 s=1
      < routes r@2`,
    'an ACK may drop a name': `
      ${TWO}
      > routes +r
      < routes r@1
      ack routes -r
      world routes r=2 s=1
      quiet`,
    'dropped while it is on its way': `
      ${TWO}
      > routes +r
      > routes -r
      < routes r@1
      ack routes
      world routes r=2 s=1
      quiet`,
  }),
  ...storiesOf('delta', 'names.again', {
    'who subscribes again is sent the resource again': `
      ${TWO}
      > routes +r
      < routes r@1
      ack routes
      > routes +r
      < routes r@1`,
    'after an unsubscribe too, in the version that it had': `
      ${TWO}
      > routes +r
      < routes r@1
      ack routes
      > routes -r
      > routes +r
      < routes r@1`,
    'with the newest version': `
      ${TWO}
      > routes +r
      < routes r@1
      ack routes
      > routes -r
      world routes r=2 s=1
      > routes +r
      < routes r@2`,
    'while a response is on its way: after its ACK': `
      ${TWO}
      > routes +r
      < routes r@1
      > routes +r
      quiet
      ack routes
      < routes r@1`,
    'and not the others': `
      ${TWO}
      > routes +r +s
      < routes r@1 s@1
      ack routes
      > routes +s
      < routes s@1`,
  }),
  ...storiesOf('delta', 'names.odd', {
    'a name twice in one request is one': `
      ${TWO}
      > routes +r +r
      < routes r@1`,
    'a missing name twice is told once': `
      ${TWO}
      > routes +nope +nope
      < routes -nope`,
    'an empty name is one that is not there': `
      ${TWO}
      > routes empty
      < routes -`,
    'a name that one request drops and takes stays': `
      ${TWO}
      > routes +r
      < routes r@1
      ack routes
      > routes +r -r
      < routes r@1`,
  }),
  ...storiesOf(
    'delta',
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
