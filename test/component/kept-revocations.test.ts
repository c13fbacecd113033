import { describe, expect, it } from 'vitest';
import { toCanonicalJson } from '../../src/core/canonical-json.ts';
import { systemClock } from '../../src/core/clock.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { initJournal } from '../../src/journal/init.ts';
import type { Draft } from '../../src/journal/journal.ts';
import { createMemoryBlobs } from '../../src/journal/memory-journal.ts';
import { systemRandom } from '../../src/journal/random.ts';
import { planStoreAdoption, REVOKED_BY } from '../../src/roles/adoption.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { aReplaceableStore, aReplica } from '../support/replica.ts';

const digest = (digit: string): string => `sha256:${digit.repeat(64)}`;
const LATER = '2100-01-01T00:00:00.000Z';

const service = (name: string, change: JsonObject = {}): Draft => ({
  kind: 'registry.service.put',
  body: {
    name,
    service: { hosts: [`${name}.test`], prefix: '/', access: 'grants', endpoints: [], ...change },
  },
});
const grant = (on: string, id: string, ...operations: readonly string[]): Draft => ({
  kind: 'registry.grant.put',
  body: { service: on, id, grant: { subject: { spiffe: `spiffe://mesh/${id}` }, operations } },
});
const node = (id: string, ...services: readonly string[]): Draft => ({
  kind: 'registry.node.put',
  body: { id, node: { services, listener: { address: '127.0.0.1', port: 1 } } },
});
const issuer = (name: string, audiences: readonly string[]): Draft => ({
  kind: 'issuer.put',
  body: {
    name,
    issuer: {
      issuer: `https://${name}.test`,
      jwksUri: `https://${name}.test/jwks`,
      audiences,
      algorithms: ['ES256'],
    },
  },
});
const settings = (value: JsonObject): Draft => ({ kind: 'settings.put', body: { settings: value } });
const token = (id: string): Draft => ({
  kind: 'token.issue',
  body: { id, name: id, sha256: digest('1'), scopes: [], expiresAt: LATER, oneTime: true },
});
const enrolment = (of: string, id: string): Draft => ({
  kind: 'node.enrolment.issue',
  body: { node: of, id, sha256: digest('2'), expiresAt: LATER },
});
const certificate = (of: string, digit: string, change: JsonObject = {}): Draft => ({
  kind: 'node.certificate.issue',
  body: {
    node: of,
    sha256: digest(digit),
    serial: digit,
    notBefore: '2026-01-01T00:00:00.000Z',
    notAfter: LATER,
    keySha256: digest('3'),
    certificate: 'PEM',
    ...change,
  },
});

/** What stays revoked when the store has `there` and then `since`, and a replica has applied `lost` after `there`. */
async function kept(
  there: readonly Draft[],
  lost: readonly Draft[],
  since: readonly Draft[] = [],
): Promise<readonly string[]> {
  const store = aReplaceableStore();
  const common = { journal: store.journal, clock: systemClock, random: systemRandom };
  const { genesisDigest: genesis, signingKey } = await initJournal({
    ...common,
    instance: 'test',
    environment: 'test',
    development: false,
  });
  const replica = aReplica(store.journal, { genesis, signingKey });
  await replica.change('there', ...(there as [Draft, ...Draft[]]));
  const older = await store.commits();
  await replica.change('lost', ...(lost as [Draft, ...Draft[]]));
  const copy = { commits: await store.commits() };
  store.replace(older);
  if (since.length > 0) {
    const other = aReplica(store.journal, { genesis, signingKey });
    await other.change('since', ...(since as [Draft, ...Draft[]]));
  }
  const { journal } = store;
  const plan = await planStoreAdoption({
    journal,
    blobs: createMemoryBlobs(),
    expectations: { genesis },
    lost: [copy],
    logger: silentLogger,
  });
  return plan.kept.map(({ kind, body }) => `${kind} ${toCanonicalJson(body)}`);
}

describe('what an adoption keeps of a lost part of the journal', () => {
  it.each<{ what: string; there: readonly Draft[]; lost: readonly Draft[]; keeps: readonly string[] }>([
    {
      what: 'nothing of what was only given',
      there: [service('a')],
      lost: [service('b'), grant('a', 'x', '*'), node('n', 'a'), issuer('i', ['a']), token('t')],
      keeps: [],
    },
    {
      what: 'the end of a service, with the grants and the places on nodes that hang on it',
      there: [service('a'), service('b'), grant('a', 'x', '*'), node('n', 'a', 'b')],
      lost: [
        { kind: 'registry.grant.delete', body: { service: 'a', id: 'x' } },
        node('n', 'b'),
        { kind: 'registry.service.delete', body: { name: 'a' } },
      ],
      keeps: [
        'registry.grant.delete {"id":"x","service":"a"}',
        'registry.node.put {"id":"n","node":{"listener":{"address":"127.0.0.1","port":1},"services":["b"]}}',
        'registry.service.delete {"name":"a"}',
      ],
    },
    {
      what: 'what a narrower service leaves of its grants',
      there: [
        service('a', {
          operations: [
            { id: 'r', method: 'GET', path: '/' },
            { id: 'w', method: 'PUT', path: '/' },
          ],
        }),
        grant('a', 'x', 'r', 'w'),
        grant('a', 'y', 'w'),
      ],
      lost: [service('a', { operations: [{ id: 'r', method: 'GET', path: '/' }] })],
      keeps: [
        'registry.grant.put {"grant":{"operations":["r"],"subject":{"spiffe":"spiffe://mesh/x"}},"id":"x","service":"a"}',
        'registry.grant.delete {"id":"y","service":"a"}',
        'registry.service.put {"name":"a","service":{"access":"grants","endpoints":[],"hosts":["a.test"],' +
          '"operations":[{"id":"r","method":"GET","path":"/"}],"prefix":"/"}}',
      ],
    },
    {
      what: 'the end of a node',
      there: [service('a'), node('n', 'a')],
      lost: [{ kind: 'registry.node.delete', body: { id: 'n' } }],
      keeps: ['registry.node.delete {"id":"n"}'],
    },
    {
      what: 'the end of issuers, changed ones too',
      there: [issuer('i', ['a']), issuer('j', ['a']), issuer('k', ['a'])],
      lost: [{ kind: 'issuer.delete', body: { name: 'i' } }, issuer('j', ['b'])],
      keeps: ['issuer.delete {"name":"i"}', 'issuer.delete {"name":"j"}'],
    },
    {
      what: 'what settings no longer allow',
      there: [settings({ defaultPolicy: 'p', selectablePolicies: ['p', 'q'] })],
      lost: [settings({ defaultPolicy: 'p', selectablePolicies: ['q'] })],
      keeps: ['settings.put {"settings":{"defaultPolicy":"p","selectablePolicies":["q"]}}'],
    },
    {
      what: 'what the first settings asked for',
      there: [service('a')],
      lost: [settings({ authenticate: 'mtls', defaultPolicy: 'strict', selectablePolicies: ['q'] })],
      keeps: ['settings.put {"settings":{"authenticate":"mtls","defaultPolicy":"strict"}}'],
    },
    {
      what: 'the end of tokens, used up or revoked',
      there: [token('t'), token('u'), token('v')],
      lost: [
        { kind: 'token.redeem', body: { id: 't' } },
        { kind: 'token.revoke', body: { id: 'u' } },
      ],
      keeps: ['token.revoke {"id":"t"}', 'token.revoke {"id":"u"}'],
    },
    {
      what: 'the end of certificates of nodes, also where the node has enrolled anew',
      there: [certificate('m', '4'), certificate('n', '5'), certificate('o', '6')],
      lost: [
        { kind: 'node.certificate.revoke', body: { node: 'm' } },
        { kind: 'node.certificate.revoke', body: { node: 'n' } },
        certificate('n', '7'),
        certificate('o', '8'),
      ],
      keeps: ['node.certificate.revoke {"node":"m"}', 'node.certificate.revoke {"node":"n"}'],
    },
    {
      what: 'the end of enrolment tokens, used up or replaced',
      there: [enrolment('m', 'e1'), enrolment('n', 'e2'), enrolment('o', 'e3')],
      lost: [certificate('m', '4', { enrolment: 'e1' }), enrolment('n', 'e4')],
      keeps: ['node.certificate.revoke {"node":"m"}', 'node.certificate.revoke {"node":"n"}'],
    },
  ])('$what', async ({ there, lost, keeps }) => {
    expect(await kept(there, lost)).toEqual(keeps);
  });

  it('the end of a node’s certificate, though the node has renewed it on the journal that is adopted', async () => {
    const soon = new Date(Date.now() + 60_000).toISOString();
    const renewed = Array.from({ length: 17 }, (_, index) =>
      certificate('n', (index % 10).toString(), {
        sha256: `sha256:${index.toString(16).padStart(64, 'b')}`,
        renews: digest('5'),
      }),
    );
    expect(
      await kept(
        [certificate('n', '5', { notAfter: soon }), certificate('m', '6', { notAfter: soon })],
        [{ kind: 'node.certificate.revoke', body: { node: 'n' } }],
        renewed,
      ),
    ).toEqual(['node.certificate.revoke {"node":"n"}']);
  });

  it('is asked of each rule by a kind of entry', () => {
    expect([...new Set(Object.values(REVOKED_BY))].toSorted()).toEqual(
      ['enrolments', 'issuers', 'registry', 'takes nothing away', 'tokens'].toSorted(),
    );
  });
});
