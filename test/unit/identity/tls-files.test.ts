import { chmod } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTlsFiles } from '../../../src/identity/tls-files.ts';
import { systemRandom } from '../../../src/journal/random.ts';
import { eventually } from '../../support/eventually.ts';
import { recordLog } from '../../support/log-lines.ts';
import { createPortFiles, type PortFiles } from '../../support/tls-files.ts';

const closers: (() => void)[] = [];
let port: PortFiles;
beforeEach(async () => {
  port = await createPortFiles();
});
afterEach(async () => {
  for (const close of closers.splice(0)) close();
  await port.remove();
});

function open() {
  const { logger, lines } = recordLog();
  const credentials = openTlsFiles(port.files, {
    option: 'authz.tls',
    logger,
    random: systemRandom,
    pollMs: 20,
  });
  closers.push(() => credentials.close());
  const troubles = () => lines.filter(({ level }) => level === 'error').map((line) => line['detail']);
  return { credentials, troubles };
}

describe('the files of a TLS port', () => {
  it.each<[string, () => Promise<void>, string]>([
    [
      'has a key of another certificate',
      async () => port.replace('privateKeyFile', (await port.issueServer()).privateKey),
      'authz.tls: key and certificates do not fit together',
    ],
    [
      'has a key that everybody can read',
      () => chmod(port.files.privateKeyFile, 0o644),
      'authz.tls.privateKeyFile can be read by everybody on this machine',
    ],
    [
      'has no certificate',
      () => port.replace('certificateFile', 'nothing'),
      'authz.tls.certificateFile holds no certificate',
    ],
    [
      'has an authority file without an authority, which would trust nobody or everybody',
      () => port.replace('clientCaFile', ''),
      'authz.tls.clientCaFile holds no certificate',
    ],
  ])('a port that %s does not open', async (_what, damage, detail) => {
    await damage();
    expect(open).toThrow(expect.objectContaining({ code: 'request_malformed', detail }));
  });

  it('a missing file does not open a port, and its path stays in the log', async () => {
    await port.remove();
    expect(open).toThrow(expect.objectContaining({ detail: 'authz.tls.certificateFile cannot be read' }));
  });

  it('are read again when all of them have changed, and the last good ones stay until then', async () => {
    const { credentials, troubles } = open();
    const before = credentials.context();
    const changes: unknown[] = [];
    credentials.onChange((context) => void changes.push(context.cert));
    const next = await port.issueServer();
    await port.replace('certificateFile', next.certificate);
    await eventually('the half change is told', () => troubles().length > 0);
    expect(troubles()).toEqual(['authz.tls: key and certificates do not fit together']);
    expect([credentials.context(), changes]).toEqual([before, []]);
    await port.replace('privateKeyFile', next.privateKey);
    await eventually('the change is there', () => changes.length > 0);
    expect(changes).toEqual([next.certificate]);
    expect(credentials.context()).toMatchObject({ cert: next.certificate, key: next.privateKey });
  });

  it('change nothing any more after the end', async () => {
    const { credentials, troubles } = open();
    const other = open();
    credentials.close();
    const before = credentials.context();
    const next = await port.issueServer();
    await port.replace('privateKeyFile', next.privateKey);
    await port.replace('certificateFile', next.certificate);
    await eventually('another reader sees it', () => other.credentials.context().cert === next.certificate);
    expect(credentials.context()).toBe(before);
    expect(troubles()).toEqual([]);
  });
});

describe('the authorities of enrolled nodes', () => {
  function openWithNodes(files: { readonly clientCaFile?: string }) {
    let listener: (what: 'authorities' | 'certificates') => void = () => {};
    let trusted: readonly string[] = [];
    const { certificateFile, privateKeyFile } = port.files;
    const credentials = openTlsFiles(
      { certificateFile, privateKeyFile, enrolledNodes: true, ...files },
      {
        option: 'authz.tls',
        logger: recordLog().logger,
        random: systemRandom,
        nodes: {
          certificates: () => trusted,
          refusalOf: (certificate) => (certificate.length === 0 ? 'revoked' : undefined),
          onChange(next) {
            listener = next;
            return () => (listener = () => {});
          },
        },
      },
    );
    closers.push(() => credentials.close());
    const trust = (next: readonly string[]): void => {
      trusted = next;
      listener('authorities');
    };
    return { credentials, trust, tell: () => listener('certificates') };
  }

  it('are trusted as soon as they are there, and before that nobody is', () => {
    const { credentials, trust } = openWithNodes({});
    expect(credentials.verifiesClients).toBe(true);
    // an empty list, and not none: that would be everybody whom this machine trusts
    expect(credentials.context().ca).toEqual([]);
    const seen: unknown[] = [];
    credentials.onChange(({ ca }) => seen.push(ca));
    trust([port.authority.certificate]);
    expect(seen).toEqual([[port.authority.certificate]]);
    trust([port.authority.certificate]);
    expect(seen).toHaveLength(1);
    credentials.close();
    trust([]);
    expect(seen).toHaveLength(1);
  });

  it('stand beside those of a file', () => {
    const { credentials, trust } = openWithNodes({ clientCaFile: port.files.clientCaFile });
    trust([port.authority.certificate]);
    expect(credentials.context().ca).toEqual([port.authority.certificate, port.authority.certificate]);
  });

  it('make a port ask again about its connections when a certificate may have been revoked', () => {
    const { credentials, tell } = openWithNodes({});
    let doubts = 0;
    credentials.onDoubt?.(() => (doubts += 1));
    tell();
    expect(doubts).toBe(1);
    expect([credentials.refusalOf?.(new Uint8Array()), credentials.refusalOf?.(new Uint8Array(1))]).toEqual([
      'revoked',
      undefined,
    ]);
  });
});
