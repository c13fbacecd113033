/**
 * What a node keeps for a start without Chancery: its configuration, signed. Whoever can write the node's disk could
 * otherwise write its access rules.
 *
 * The key is derived from that of the authority which signed the node's certificate (HKDF, RFC 5869), and its public
 * half comes to the node with that certificate: so both are of one age, and there is no further secret to keep. What is
 * signed (Ed25519) is a digest of the canonical JSON, behind a text that no other signature of Chancery begins with.
 */
import { createPrivateKey, createPublicKey, hkdfSync, type KeyObject } from 'node:crypto';
import { type Static, Type } from 'typebox';
import { toCanonicalJson } from '../core/canonical-json.ts';
import { isOfForm } from '../core/compiled-check.ts';
import { sha256 } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { JsonObject } from '../core/json.ts';
import { isSignedBy, type SigningKey, signWith, toSigningKey } from '../journal/signing-key.ts';

const jsonObject = Type.Unsafe<JsonObject>({ type: 'object' });

export const nodeConfigurationSchema = Type.Object(
  {
    v: Type.Literal(1),
    instance: Type.String({ description: 'whose it is' }),
    node: Type.String({ description: 'for which node' }),
    position: Type.String({
      pattern: '^\\d+\\.\\d+$',
      description: 'place in the journal of the last change that concerns the node: <epoch>.<seq>',
    }),
    notBefore: Type.String({ format: 'date-time' }),
    expiresAt: Type.String({ format: 'date-time', description: 'no node may start from it any more' }),
    bootstrap: Type.Unsafe<JsonObject>({
      type: 'object',
      description: 'envoy.config.bootstrap.v3.Bootstrap',
    }),
    resources: Type.Record(Type.String(), Type.Array(jsonObject), {
      description: 'what the node has accepted, by type, as protobuf JSON; of keys the names of files only',
    }),
    signature: Type.String({ description: 'Ed25519, base64url' }),
  },
  { additionalProperties: false },
);
export type NodeConfiguration = Readonly<Static<typeof nodeConfigurationSchema>>;

const DOMAIN = 'chancery-node-configuration-v1\n';
/** PKCS#8 of an Ed25519 key (RFC 8410), up to the 32 bytes of the key itself. */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** What is written to a file, and what `verifyConfiguration` reads. */
export function toConfigurationText(configuration: NodeConfiguration): string {
  return toCanonicalJson(configuration);
}

/** @param authorityKey  PKCS#8, as `Secrets` keeps it */
export function deriveConfigurationKey(authorityKey: Uint8Array): SigningKey {
  const seed = Buffer.from(hkdfSync('sha256', authorityKey, '', 'chancery node configuration v1', 32));
  return toSigningKey(
    createPrivateKey({ key: Buffer.concat([ED25519_PKCS8, seed]), format: 'der', type: 'pkcs8' }),
  );
}

/** @returns PEM: what a node pins */
export function publicPem({ privateKey }: SigningKey): string {
  return createPublicKey(privateKey).export({ format: 'pem', type: 'spki' }).toString();
}

export function signConfiguration(
  configuration: Omit<NodeConfiguration, 'signature'>,
  key: SigningKey,
): NodeConfiguration {
  return { ...configuration, signature: signWith(key, toBeSigned(configuration)) };
}

export interface Expected {
  /** PEM, as it was pinned */
  readonly publicKey: string;
  readonly node: string;
  /** epoch ms */
  readonly nowMs: number;
}

/**
 * @param text  of the file
 * @throws Failure request_malformed (no such document), credential_invalid (signature), peer_mismatch (of another
 *         node), credential_expired; the detail says which, for whoever has to start the node
 */
export function verifyConfiguration(text: string, { publicKey, node, nowMs }: Expected): NodeConfiguration {
  const kept = parse(text);
  const { signature, ...signed } = kept;
  if (!isSignedBy([pinned(publicKey)], toBeSigned(signed), signature)) {
    throw new Failure(
      'credential_invalid',
      'the kept configuration was changed: its signature is not that of the key that was pinned',
    );
  }
  if (kept.node !== node) {
    throw new Failure('peer_mismatch', `the kept configuration is that of node "${kept.node}"`);
  }
  if (nowMs >= Date.parse(kept.expiresAt)) {
    throw new Failure('credential_expired', `the kept configuration has expired at ${kept.expiresAt}`);
  }
  if (nowMs < Date.parse(kept.notBefore)) {
    throw new Failure(
      'credential_invalid',
      `the kept configuration holds from ${kept.notBefore} on: the clock of this machine is behind`,
    );
  }
  return kept;
}

/** Of its own spelling only: then a byte that means nothing cannot be changed either. */
function parse(text: string): NodeConfiguration {
  try {
    const value: unknown = JSON.parse(text);
    if (isOfForm(nodeConfigurationSchema, value) && toCanonicalJson(value) === text) return value;
  } catch (cause) {
    throw new Failure('request_malformed', 'the kept configuration is not JSON', { cause });
  }
  throw new Failure('request_malformed', 'the kept configuration is not of the form of this version');
}

function pinned(pem: string): KeyObject {
  try {
    return createPublicKey(pem);
  } catch (cause) {
    throw new Failure('credential_invalid', 'the pinned key cannot be read', { cause });
  }
}

function toBeSigned(configuration: Omit<NodeConfiguration, 'signature'>): Uint8Array {
  return Buffer.from(DOMAIN + sha256(toCanonicalJson(configuration)));
}
