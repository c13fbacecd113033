import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { describeApi } from '../../src/admin/openapi-document.ts';
import type { OpenApiDocument } from '../support/admin-contract.ts';

const read = (path: string): Promise<string> => readFile(new URL(`../../${path}`, import.meta.url), 'utf8');

describe('the OpenAPI document', () => {
  it('is committed as the routes say, and the client is generated from it', async () => {
    const script = new URL('../../.scripts/generate-client.mjs', import.meta.url).pathname;
    await promisify(execFile)(process.execPath, [script, '--check'], { timeout: 50_000 });
    expect(JSON.parse(await read('src/client/openapi.json'))).toEqual(
      JSON.parse(JSON.stringify(await describeApi())),
    );
  });

  it('is OpenAPI 3.1, names every operation once and protects every one', async () => {
    const document = JSON.parse(JSON.stringify(await describeApi())) as OpenApiDocument & {
      readonly openapi: string;
      readonly security: unknown;
    };
    expect(document.openapi).toBe('3.1.0');
    expect(document.security).toEqual([{ bearer: [] }]);
    const operations = Object.values(document.paths).flatMap((path) => Object.values(path));
    expect(operations.length).toBeGreaterThan(30);
    const ids = operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const operation of operations) expect(operation.summary).toBeTruthy();
    const own = operations.flatMap((operation) =>
      'security' in operation ? [[operation.operationId, operation.security]] : [],
    );
    expect(own).toEqual([
      ['enrolNode', [{ enrolmentToken: [] }]],
      ['renewNodeCertificate', [{ nodeCertificate: [] }]],
      ['getNodeConfiguration', [{ nodeCertificate: [] }]],
      ['reportProof', [{ nodeCertificate: [] }]],
    ]);
  });

  it('documents the refusals of every operation as problems', async () => {
    const document = JSON.parse(JSON.stringify(await describeApi())) as OpenApiDocument;
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, { responses }] of Object.entries(methods)) {
        const statuses = Object.keys(responses).map(Number);
        expect(statuses, `${method} ${path}`).toEqual(
          expect.arrayContaining([400, 401, 403, 429, 500, 503, 504]),
        );
        if (method === 'put') expect(statuses).toEqual(expect.arrayContaining([412, 428]));
        for (const status of statuses.filter((status) => status >= 400)) {
          expect(responses[status]?.content).toEqual({
            'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
          });
        }
      }
    }
  });

  it('refers only to schemas that it holds', async () => {
    const text = JSON.stringify(await describeApi());
    const { components } = JSON.parse(text) as OpenApiDocument;
    const names = new Set(
      [...text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name),
    );
    expect(names.size).toBeGreaterThan(10);
    for (const name of names) expect(components.schemas).toHaveProperty(name ?? '');
    expect(text).not.toMatch(/"\$ref":"(?!#\/components\/schemas\/)/);
  });
});
