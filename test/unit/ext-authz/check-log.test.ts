import { beforeEach, describe, expect, it } from 'vitest';
import { Failure } from '../../../src/core/failure.ts';
import { createCheckLog } from '../../../src/ext-authz/check-log.ts';
import type { CheckRequest } from '../../../src/ext-authz/check-request.ts';
import type { ExtAuthzOptions } from '../../../src/ext-authz/options.ts';
import type { LogFields, Logger } from '../../../src/telemetry/logger.ts';

type Line = readonly [level: string, message: string, fields: LogFields];

/** What was read of a request, by name. */
const reads: string[] = [];
beforeEach(() => reads.splice(0));
const seen = <T>(name: string, value: T): T => {
  reads.push(name);
  return value;
};

function aRequest(target = '/orders/open?token=SECRET#SECRET'): CheckRequest {
  return {
    method: 'POST',
    target,
    sourcePrincipal: 'spiffe://mesh/app/web',
    contextExtension: (name) => seen('extension', { service: 'orders', operation: 'list' }[name]),
    headerValues: () => seen('headers', ['SECRET']),
    get sourceCertificate() {
      return seen('certificate', 'SECRET');
    },
    writeInput: () => seen('input', Buffer.from('SECRET')),
  };
}
const SHOWN = {
  service: 'orders',
  operation: 'list',
  method: 'POST',
  path: '/orders/open',
  spiffe: 'spiffe://mesh/app/web',
};

function start(level?: string, logDenied?: ExtAuthzOptions['logDenied']) {
  const lines: Line[] = [];
  const write = (name: string) => (fields: LogFields, message: string) =>
    void lines.push([name, message, fields]);
  const logger: Logger = {
    ...(level !== undefined && { level }),
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: () => logger,
  };
  const options = { maxConcurrent: 1, defaultDeadlineMs: 1, ...(logDenied && { logDenied }) };
  return { lines, log: createCheckLog(logger, options) };
}

describe('the log of Checks', () => {
  it('says who asked for what and why not, without the query', () => {
    const { lines, log } = start('debug');
    const decidedBy = { policy: 'orders', revision: 'sha256:00', seq: 7 };
    log.denied('d1', { reason: 'policy_denied', decidedBy }, aRequest());
    expect(lines).toEqual([
      ['debug', 'a Check was denied', { decisionId: 'd1', reason: 'policy_denied', decidedBy, ...SHOWN }],
    ]);
    expect(new Set(reads)).toEqual(new Set(['extension']));
  });

  it.each<[string, string, ExtAuthzOptions['logDenied'], string[]]>([
    ['nothing when it is off', 'debug', 'off', []],
    ['nothing when the level is not written', 'info', 'debug', []],
    ['a line at info when it is asked for', 'info', 'info', ['info']],
  ])('writes of a denial %s', (_, level, logDenied, expected) => {
    const { lines, log } = start(level, logDenied);
    log.denied('d1', { reason: 'no_grant' }, aRequest());
    expect(lines.map(([name]) => name)).toEqual(expected);
    // no string is made that nobody reads
    expect(reads.length > 0).toBe(expected.length > 0);
  });

  it('shows what a caller has done wrong at the level of a denial, our own failures at warn', () => {
    const { lines, log } = start('debug');
    log.failed('d1', new Failure('credential_expired', 'the token has expired'), aRequest());
    log.failed('d2', new Failure('overloaded', 'too many'), undefined);
    expect(lines).toEqual([
      [
        'debug',
        'a Check was refused without a decision',
        { decisionId: 'd1', code: 'credential_expired', detail: 'the token has expired', ...SHOWN },
      ],
      ['warn', 'a Check could not be decided', { decisionId: 'd2', code: 'overloaded', detail: 'too many' }],
    ]);
  });

  it('shows of a cause what it says and where, not what hangs on it nor what it quotes', () => {
    const { lines, log } = start('debug');
    const expired = Object.assign(new Error('"exp" claim'), { payload: { sub: 'SECRET' } });
    log.failed('d1', new Failure('credential_expired', 'x', { cause: expired }), aRequest());
    log.failed('d2', new Failure('internal', 'x', { cause: expired }), aRequest());
    let quoting: unknown;
    try {
      JSON.parse('SECRET');
    } catch (error) {
      quoting = error;
    }
    log.failed('d3', new Failure('policy_failed', 'x', { cause: quoting }), aRequest());
    log.failed('d4', new Failure('internal', 'x', { cause: 'SECRET' }), aRequest());
    expect(lines).toHaveLength(4);
    expect(JSON.stringify(lines)).not.toContain('SECRET');
    expect(lines[1]?.[2]['cause']).toMatchObject({ name: 'Error', message: '"exp" claim' });
  });

  it('writes so many lines of one kind in a second, and never throws', () => {
    const { lines, log } = start('debug');
    const broken = Object.assign(aRequest('/'), {
      contextExtension: () => {
        throw new Error('cannot be read');
      },
    });
    for (let count = 0; count < 1_000; count += 1) log.denied('d', { reason: 'no_grant' }, broken);
    expect(lines.length).toBeGreaterThanOrEqual(100);
    expect(lines.length).toBeLessThan(500);
    expect(lines[0]?.[2]).toEqual({ decisionId: 'd', reason: 'no_grant' });
    const other = start('debug');
    other.log.denied('d', { reason: 'no_grant' }, aRequest(`/${'x'.repeat(10_000)}`));
    expect(other.lines[0]?.[2]['path']).toHaveLength(512);
  });
});
