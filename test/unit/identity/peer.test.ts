import { describe, expect, it } from 'vitest';
import { isLoopback } from '../../../src/core/loopback.ts';
import { peerClaims } from '../../../src/identity/peer.ts';

describe('a peer', () => {
  it.each([
    '127.0.0.1:4711',
    '127.8.9.1:1',
    '::1:4711',
    '[::1]:4711',
    '::ffff:127.0.0.1:4711',
    'unix:/run/x.sock',
  ])('%s of this machine is enrolled', (peer) => {
    const claims = peerClaims(peer);
    expect([claims.enrolled, claims.mayClaimNode('edge')]).toEqual([true, true]);
  });

  it.each([
    '10.0.0.1:4711',
    '::2:4711',
    '::ffff:10.0.0.1:1',
    'unknown',
    '',
    'localhost:1',
    '127.0.0.1.example.test:1',
    '128.0.0.1:1',
  ])('%j may claim nothing', (peer) => {
    const claims = peerClaims(peer);
    expect([claims.enrolled, claims.mayClaimNode('edge')]).toEqual([false, false]);
  });
});

describe('isLoopback', () => {
  it('knows addresses, not names', () => {
    expect(['127.0.0.1', '127.255.255.254', '::1', '0:0:0:0:0:0:0:1'].map(isLoopback)).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(['0.0.0.0', '::', '10.0.0.1', 'localhost', '127.1', ''].map(isLoopback)).toEqual([
      false,
      false,
      false,
      false,
      false,
      false,
    ]);
  });
});
