import { sha256 } from '../../src/core/digest.ts';
import { createGenesis, type NewJournal } from '../../src/journal/genesis.ts';
import { type Draft, EMPTY_HEAD, type Journal, type StoredCommit } from '../../src/journal/journal.ts';
import { systemRandom } from '../../src/journal/random.ts';
import { sealCommit } from '../../src/journal/seal.ts';
import { aGrant, aNode, aService } from './registry-world.ts';

const COMMIT_ENTRIES = 1_000;
const SERVICES = 200;
const GRANTS = 30_000;

/** Appends a journal of all kinds of changes in large commits, straight to the store. */
export async function appendLargeJournal(journal: Journal, entries: number): Promise<NewJournal> {
  const clock = { nowMs: Date.now };
  const genesis = createGenesis({
    instance: 'large',
    environment: 'test',
    development: true,
    clock,
    random: systemRandom,
  });
  let last = genesis.commit;
  let head = await journal.append(last, EMPTY_HEAD);
  while (head.seq < entries) {
    const count = Math.min(COMMIT_ENTRIES, entries - head.seq);
    const drafts = Array.from({ length: count }, (_, index) => draftOf(head.seq + index));
    last = sealCommit({
      id: `large:${head.seq}`,
      actor: 'test:somebody',
      drafts: drafts as [Draft, ...Draft[]],
      tip: { position: head, at: atOf(last) },
      signingKey: genesis.signingKey,
      nowMs: clock.nowMs(),
      random: systemRandom,
    });
    head = await journal.append(last, head);
  }
  return genesis;
}

function atOf(commit: StoredCommit): string {
  return commit.entries.at(-1)?.entry.at ?? '';
}

/** Mostly grants, as they come and go; everything else between them. */
function draftOf(n: number): Draft {
  const service = `s${n % SERVICES}`;
  const id = `g${(n * 7_919) % GRANTS}`;
  switch (n % 20) {
    case 0:
      return {
        kind: 'registry.service.put',
        body: { name: service, service: aService({ prefix: `/${n}` }) },
      };
    case 1:
      return { kind: 'registry.node.put', body: { id: `n${n % 500}`, node: aNode([service]) } };
    case 2:
      return { kind: 'settings.put', body: { settings: { defaultPolicy: service } } };
    case 3: {
      const expiresAt = '2030-01-01T00:00:00.000Z';
      const token = { id: `t${n}`, name: service, sha256: sha256(id), scopes: ['audit:read'], expiresAt };
      return { kind: 'token.issue', body: token };
    }
    case 4:
      return { kind: 'token.revoke', body: { id: `t${n - 1}` } };
    case 5: {
      const issuer = { issuer: `https://i${n % 50}`, jwksUri: 'https://i/keys', audiences: ['x'] };
      return { kind: 'issuer.put', body: { name: service, issuer: { ...issuer, algorithms: ['ES256'] } } };
    }
    case 6:
    case 7:
      return { kind: 'registry.grant.delete', body: { service, id } };
    default:
      return { kind: 'registry.grant.put', body: { service, id, grant: aGrant() } };
  }
}
