/**
 * Enrolment tokens: for one node, one use and at most a day. The journal holds SHA-256 of the text and nothing that
 * could be shown as one; the text exists once, in the answer that issues it.
 *
 * A token reads `chn_<id>.<secret>`. The secret has 256 random bits, so that a plain hash is enough to keep.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { sha256 } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { Draft } from '../journal/journal.ts';
import type { RandomBytes } from '../journal/random.ts';
import type { Enrolment, EnrolmentView } from './enrolment-state.ts';

export const MAX_ENROLMENT_SECONDS = 86_400;

export interface NewEnrolmentToken {
  readonly id: string;
  /** the only time that it can be read */
  readonly token: string;
  /** RFC 3339, UTC */
  readonly expiresAt: string;
  readonly draft: Draft;
}

const ID_BYTES = 9;
const SECRET_BYTES = 32;
const BEARER = /^Bearer +(chn_([0-9a-f]{18})\.[A-Za-z0-9_-]{43})$/i;

/** It ends the node's token before, if there is one. */
export function createEnrolmentToken(
  node: string,
  expiresInSeconds: number,
  { clock, random }: { readonly clock: Clock; readonly random: RandomBytes },
): NewEnrolmentToken {
  const id = Buffer.from(random(ID_BYTES)).toString('hex');
  const token = `chn_${id}.${Buffer.from(random(SECRET_BYTES)).toString('base64url')}`;
  const expiresAt = new Date(clock.nowMs() + expiresInSeconds * 1000).toISOString();
  const body = { id, node, sha256: sha256(token), expiresAt };
  return { id, token, expiresAt, draft: { kind: 'node.enrolment.issue', body } };
}

/**
 * A token that has been used is let in as well: whether this is the same call again, its key will tell.
 *
 * @param authorization  value of the header field
 * @throws Failure credential_missing, _invalid, _expired
 */
export function authenticateEnrolment(
  authorization: string | undefined,
  view: Pick<EnrolmentView, 'enrolment'>,
  clock: Clock,
): Enrolment {
  if (authorization === undefined) throw new Failure('credential_missing', 'an enrolment token is needed');
  const [, text = '', id = ''] = BEARER.exec(authorization) ?? [];
  if (text === '') throw new Failure('credential_invalid', 'Authorization is not an enrolment token');
  const known = view.enrolment(id.toLowerCase());
  // An unknown id is compared as well, so that the time says nothing about which ids exist.
  const matches = isEqual(sha256(text), known?.sha256 ?? sha256('unknown'));
  if (known === undefined || !matches) {
    throw new Failure(
      'credential_invalid',
      'the enrolment token is not known, or was revoked or replaced by a later one of its node',
    );
  }
  requireLive(known, clock);
  return known;
}

/** Ends all certificates of a node, and its enrolment token. */
export function revokeCertificates(node: string): Draft {
  return { kind: 'node.certificate.revoke', body: { node } };
}

/** @throws Failure credential_expired */
export function requireLive({ expiresAt }: Enrolment, clock: Clock): void {
  if (clock.nowMs() >= Date.parse(expiresAt)) {
    throw new Failure('credential_expired', `the enrolment token expired at ${expiresAt}`);
  }
}

function isEqual(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
