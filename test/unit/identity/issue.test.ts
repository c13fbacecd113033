import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createCertificateRequest, createNodeKey } from '../../../src/identity/certificate-request.ts';
import { createEnrolmentToken, revokeCertificates } from '../../../src/identity/enrolment.ts';
import { createEnrolments } from '../../../src/identity/enrolment-state.ts';
import { createNodeIssuer } from '../../../src/identity/issue.ts';
import { createFollower } from '../../../src/journal/follower.ts';
import { createMemoryJournal } from '../../../src/journal/memory-journal.ts';
import { createMemorySealedSecrets } from '../../../src/journal/memory-secrets.ts';
import { systemRandom } from '../../../src/journal/random.ts';
import { createSecrets, type SealedSecrets } from '../../../src/journal/secrets.ts';
import { toSecretsKey } from '../../../src/journal/secrets-key.ts';
import { createWriter } from '../../../src/journal/writer.ts';
import { silentLogger } from '../../../src/telemetry/logger.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { createTestJournal, withTheRest } from '../../support/journal-memory.ts';

const YEAR_MS = 365 * 86_400_000;
const KEY = toSecretsKey(systemRandom(32));
const soon = (): AbortSignal => AbortSignal.timeout(10_000);

/** Two processes on one store: each with a fold of its own. */
async function aStore() {
  let nowMs = Date.now();
  const clock = { nowMs: () => nowMs };
  const journal = createMemoryJournal();
  const first = createEnrolments();
  const { signingKey } = await createTestJournal({ journal, clock, reducers: [first.reducer] });
  const sealed = createMemorySealedSecrets();
  const process = (own: SealedSecrets = sealed, isRegistered: (id: string) => boolean = () => true) => {
    const { reducer, view } = createEnrolments();
    const follower = createFollower({
      journal,
      reducers: withTheRest([reducer]),
      logger: silentLogger,
      metrics: createMetrics(),
      clock,
      random: systemRandom,
    });
    const writer = createWriter({ journal, follower, signingKey, clock, random: systemRandom, retryMs: 1 });
    const secrets = createSecrets({ sealed: own, key: KEY, random: systemRandom });
    const basics = { clock, random: systemRandom };
    const issuer = createNodeIssuer({ ...basics, view, isRegistered, writer, secrets, trustDomain: 'test' });
    const append = (draft: ReturnType<typeof revokeCertificates>) =>
      writer.change(
        {
          id: `test-${systemRandom(8).join('')}`,
          actor: 'test',
          prepare: () => ({ drafts: [draft] as const, result: undefined }),
        },
        soon(),
      );
    const token = async (node: string) => {
      const { draft, id } = createEnrolmentToken(node, 60, basics);
      await append(draft);
      const enrolment = view.enrolment(id);
      if (enrolment === undefined) throw new Error('no token');
      return enrolment;
    };
    return { view, issuer, follower, append, token };
  };
  return { process, sealed, journal, later: (ms: number) => (nowMs += ms) };
}

describe('the authority of the nodes', () => {
  it('is made once, by one of several processes that start together, and its key is kept', async () => {
    const { process, sealed } = await aStore();
    const processes = [process(), process(), process()];
    await Promise.all(processes.map(({ issuer }) => issuer.ensureAuthority(soon())));
    await Promise.all(processes.map(({ follower }) => follower.sync()));
    const [ids, ...others] = processes.map(({ view }) => view.authorities().map(({ id }) => id));
    expect(ids).toHaveLength(1);
    expect(others).toEqual([ids, ids]);
    expect(await sealed.names('', 10)).toEqual([`node-authority/${ids?.[0]}`]);
    await processes[0]?.issuer.ensureAuthority(soon());
    expect(processes[0]?.view.authorities()).toHaveLength(1);
  });

  it('is followed by another when it ends within a year, or its key is gone; the old one stays trusted', async () => {
    const { process, later, sealed } = await aStore();
    const { issuer, view, token } = process();
    await issuer.ensureAuthority(soon());
    later(9 * YEAR_MS + 1000);
    await issuer.ensureAuthority(soon());
    expect(view.authorities()).toHaveLength(2);
    await sealed.delete(`node-authority/${view.authorities()[1]?.id}`);
    await expect(issuer.enrol(await token('edge'), await aRequest(), soon())).rejects.toMatchObject({
      code: 'store_mismatch',
    });
    await issuer.ensureAuthority(soon());
    const all = view.authorities().map(({ certificate }) => new X509Certificate(certificate));
    expect(all).toHaveLength(3);
    const { certificate, authorities } = await issuer.enrol(await token('edge'), await aRequest(), soon());
    const issued = new X509Certificate(certificate);
    expect(all.map((authority) => issued.verify(authority.publicKey))).toEqual([false, false, true]);
    expect(authorities.match(/BEGIN CERTIFICATE/g)).toHaveLength(3);
  });
});

describe('a node issuer', () => {
  it('lets one of two processes use a token, and the other answers the same for the same key only', async () => {
    const { process } = await aStore();
    const [one, two] = [process(), process()];
    await one.issuer.ensureAuthority(soon());
    const enrolment = await one.token('edge');
    await two.follower.sync();
    const [key, another] = [createNodeKey(), createNodeKey()];
    const first = await one.issuer.enrol(enrolment, await createCertificateRequest(key), soon());
    // this process has not even seen that it was used
    const { position: _position, ...again } = await two.issuer.enrol(
      enrolment,
      await createCertificateRequest(key),
      soon(),
    );
    expect(first).toMatchObject(again);
    await expect(
      two.issuer.enrol(enrolment, await createCertificateRequest(another), soon()),
    ).rejects.toMatchObject({ code: 'credential_revoked' });
  });

  it('renews nothing that was revoked in the meantime, and nothing of a node that is gone', async () => {
    const { process, sealed } = await aStore();
    let registered = true;
    const { issuer, view, token, follower } = process(sealed, () => registered);
    await issuer.ensureAuthority(soon());
    const renewedOf = async () => {
      await issuer.enrol(await token('edge'), await aRequest(), soon());
      const [node] = view.nodes();
      const shown = view.certificate(node?.certificates[0]?.sha256 ?? 'sha256:none');
      if (shown === undefined) throw new Error('nothing was issued');
      return shown;
    };
    const shown = await renewedOf();
    registered = false;
    const refused = { code: 'credential_revoked' };
    await expect(issuer.renew(shown, await aRequest(), soon())).rejects.toMatchObject(refused);
    await expect(issuer.enrol(await token('edge'), await aRequest(), soon())).rejects.toMatchObject(refused);
    registered = true;
    expect(await issuer.renew(shown, await aRequest(), soon())).toMatchObject({ node: 'edge' });
    const other = process();
    await other.append(revokeCertificates('edge'));
    expect(view.certificate(shown.sha256)).toBeDefined();
    await expect(issuer.renew(shown, await aRequest(), soon())).rejects.toMatchObject(refused);
    expect(follower.position()).toEqual(other.follower.position());
    const replaced = await token('edge');
    await token('edge');
    await expect(issuer.enrol(replaced, await aRequest(), soon())).rejects.toMatchObject(refused);
  });
});

const aRequest = (): Promise<string> => createCertificateRequest(createNodeKey());
