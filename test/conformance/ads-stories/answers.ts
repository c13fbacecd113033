/** ACK, NACK and nonces, in both variants. */
import { TWO } from './preambles.ts';
import { inBothVariants, type Story, storiesOf } from './story.ts';

export const ANSWERS: readonly Story[] = [
  ...inBothVariants('ack', {
    'is followed by silence': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      ack cluster
      quiet`,
    'a world that comes out the same is silence': `
      ${TWO}
      > listener
      < listener l@1
      ack listener
      ${TWO}
      quiet`,
    'given twice counts once': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      ack cluster
      ack cluster
      quiet`,
    'a listener that changes is sent': `
      ${TWO}
      > listener
      < listener l@1
      ack listener
      world listener l=2
      < listener l@2
      ack listener
      quiet`,
  }),
  ...storiesOf('delta', 'ack', {
    'only what has changed is sent': `
      ${TWO}
      > routes +r +s
      < routes r@1 s@1
      ack routes
      world routes r=1 s=2
      < routes s@2`,
  }),
  ...storiesOf('sotw', 'ack', {
    'only what has changed is sent, where nothing is deleted by being left out': `
      ${TWO}
      > routes r s
      < routes r@1 s@1
      ack routes
      world routes r=1 s=2
      < routes s@2`,
    'is one whatever its version says': `
      ${TWO}
      > routes r
      < routes r@1
      ack routes same version:bogus
      quiet
      world routes r=2 s=1
      < routes r@2`,
  }),
  ...inBothVariants('nack.memory', {
    'what was refused is not sent again': `
      ${TWO}
      > listener
      < listener l@1
      ack listener
      world listener l=2
      < listener l@2
      nack listener
      quiet`,
    'nor when something else changes': `
      ${TWO}
      > listener
      < listener l@1
      ack listener
      world listener l=2
      < listener l@2
      nack listener
      world routes r=2 s=1
      quiet`,
    'nor when the first of all was refused': `
      ${TWO}
      > listener
      < listener l@1
      nack listener
      quiet`,
    'a refusal said twice is one': `
      ${TWO}
      > listener
      < listener l@1
      ack listener
      world listener l=2
      < listener l@2
      nack listener
      nack listener
      quiet`,
  }),
  ...storiesOf('delta', 'nack.memory', {
    'the next stream of a client that kept what it had is not sent it either': `
      world listener l=1
      > listener
      < listener l@1
      ack listener
      world listener l=2
      < listener l@2
      nack listener
      quiet
      reconnect
      > listener =l@1
      < listener
      ack listener
      quiet`,
    'a client that was started anew is sent it': `
      world listener l=1
      > listener
      < listener l@1
      ack listener
      world listener l=2
      < listener l@2
      nack listener
      quiet
      reconnect
      > listener
      < listener l@2`,
    'of a response with two the next one carries what is new alone': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      nack cluster
      world cluster a=1 b=1 c=1
      < cluster c@1`,
  }),
  ...storiesOf('sotw', 'nack.memory', {
    'the next stream of a client that kept what it had is not sent it either': `
      world listener l=1
      > listener
      < listener l@1
      ack listener
      world listener l=2
      < listener l@2
      nack listener
      quiet
      reconnect
      > listener version:last
      < listener l@1
      ack listener
      quiet`,
    'full state after it carries what was accepted last': `
      world cluster a=1; listener
      > cluster
      < cluster a@1
      ack cluster
      world cluster a=2
      < cluster a@2
      nack cluster
      quiet
      world cluster a=2 b=1
      < cluster a@1 b@1`,
  }),
  ...inBothVariants('nack.recovery', {
    'the next version is sent': `
      ${TWO}
      > listener
      < listener l@1
      ack listener
      world listener l=2
      < listener l@2
      nack listener
      world listener l=3
      < listener l@3
      ack listener
      quiet`,
    'the version before it is sent too: nobody knows what was kept': `
      ${TWO}
      > listener
      < listener l@1
      ack listener
      world listener l=2
      < listener l@2
      nack listener
      world listener l=1
      < listener l@1`,
    'a second refusal is remembered like the first': `
      ${TWO}
      > listener
      < listener l@1
      ack listener
      world listener l=2
      < listener l@2
      nack listener
      world listener l=3
      < listener l@3
      nack listener
      quiet`,
  }),
  ...storiesOf('delta', 'nack.recovery', {
    'who asks for what it has refused is sent it': `
      ${TWO}
      > routes +r
      < routes r@1
      nack routes
      quiet
      > routes +r
      < routes r@1`,
    'a refused removal is tried once more after the next ACK': `
      ${TWO}
      > routes +r +s
      < routes r@1 s@1
      ack routes
      world routes r=1
      < routes -s
      nack routes
      quiet
      world routes r=2
      < routes r@2
      ack routes
      < routes -s`,
  }),
  ...storiesOf('delta', 'nack.others', {
    'a name that comes with the refusal is answered': `
      ${TWO}
      > routes +r
      < routes r@1
      nack routes +s
      < routes s@1`,
    'another type goes on': `
      ${TWO}
      > routes +r
      < routes r@1
      nack routes
      > cluster
      < cluster a@1 b@1
      ack cluster
      world cluster a=1 b=2
      < cluster b@2`,
    'refused clusters do not hold up routes: something may have been taken away': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      ack cluster
      > routes +r
      < routes r@1
      ack routes
      world cluster a=2 b=1; routes r=2 s=1
      < cluster a@2
      nack cluster
      < routes r@2`,
  }),
  ...storiesOf('sotw', 'nack.others', {
    'a name that comes with the refusal is answered': `
      ${TWO}
      > routes r
      < routes r@1
      nack routes r s
      < routes s@1`,
    'refused clusters do not hold up routes: something may have been taken away': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      ack cluster
      > routes r
      < routes r@1
      ack routes
      world cluster a=2 b=1; routes r=2 s=1
      < cluster a@2 b@1
      nack cluster
      < routes r@2`,
  }),
  ...inBothVariants('nonce.stale', {
    'a nonce that was never sent accepts nothing': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      > cluster nonce:bogus
      world cluster a=2 b=2
      quiet
      ack cluster
      < cluster a@2 b@2`,
    'a nonce that was never sent refuses nothing': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      > cluster nonce:bogus error
      ack cluster
      world cluster a=2 b=2
      < cluster a@2 b@2`,
    'the nonce before the last accepts nothing': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      ack cluster
      world cluster a=2 b=2
      < cluster a@2 b@2
      > cluster nonce:prev
      world cluster a=3 b=3
      quiet
      ack cluster
      < cluster a@3 b@3`,
    'the nonce before the last refuses nothing': `
      ${TWO}
      > listener
      < listener l@1
      ack listener
      world listener l=2
      < listener l@2
      > listener nonce:prev error
      quiet
      ack listener
      world listener l=3
      < listener l@3`,
    'an old nonce is not answered': `
      ${TWO}
      > listener
      < listener l@1
      ack listener
      world listener l=2
      < listener l@2
      ack listener
      > listener nonce:first
      quiet`,
  }),
  ...storiesOf('delta', 'nonce.stale', {
    'what it subscribes to counts': `
      ${TWO}
      > routes +r
      < routes r@1
      ack routes
      > routes +s nonce:bogus
      < routes s@1`,
    'what it drops counts': `
      ${TWO}
      > routes +r
      < routes r@1
      ack routes
      > routes -r nonce:bogus
      world routes r=2 s=1
      quiet`,
  }),
  ...storiesOf('sotw', 'nonce.stale', {
    'its names are not lost': `
      ${TWO}
      > routes r
      < routes r@1
      > routes r s nonce:bogus
      quiet
      ack routes r s
      < routes s@1`,
  }),
  ...inBothVariants('nonce.scope', {
    'the nonce of another type accepts nothing': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      ack cluster
      > listener
      < listener l@1
      > listener nonce:cluster
      world listener l=2
      quiet
      ack listener
      < listener l@2`,
    'the nonce of another type refuses nothing': `
      ${TWO}
      > cluster
      < cluster a@1 b@1
      ack cluster
      > listener
      < listener l@1
      > listener nonce:cluster error
      ack listener
      world listener l=2
      < listener l@2`,
    'a first request is one, whatever nonce it carries from an earlier stream': `
      ${TWO}
      > cluster nonce:bogus
      < cluster a@1 b@1`,
  }),
];
