/** `chancery config plan|apply`: the registry as one document in a file. */
import { readFileSync } from 'node:fs';
import { parseJsonBody } from '../admin/json-body.ts';
import { parseYamlBody } from '../admin/yaml-body.ts';
import { ApiError } from '../client/api-error.ts';
import { createClient } from '../client/client.ts';
import type { components } from '../client/schema.d.ts';
import { createTlsFetch } from '../client/tls-fetch.ts';
import { parseAdminUrl } from './admin-url.ts';
import { complain, say } from './output.ts';
import { UsageError } from './usage-error.ts';

type Document = components['schemas']['RegistryDocument'];

export interface ConfigDocumentFlags {
  readonly url: string;
  readonly tokenFile: string;
  readonly caFile?: string;
  readonly ifMatch?: string;
}

const MARKS = { create: '+', replace: '~', delete: '-' } as const;

/**
 * Says what the document changes, and with `apply` makes it so.
 *
 * @returns 0; 1 when it was refused
 * @throws UsageError  a file that cannot be read; Failure request_malformed  one that is neither YAML nor JSON
 */
export async function configCommand(
  action: 'plan' | 'apply',
  file: string,
  { url, tokenFile, caFile, ifMatch }: ConfigDocumentFlags,
): Promise<number> {
  const text = read(file);
  const body = (file.endsWith('.json') ? parseJsonBody(text) : parseYamlBody(text)) as Document;
  const ca = caFile === undefined ? undefined : read(caFile).toString('utf8');
  const client = createClient({
    baseUrl: parseAdminUrl(url).origin,
    token: read(tokenFile).toString('utf8').trim(),
    ...(ca !== undefined && { fetch: createTlsFetch({ ca }) }),
  });
  const header = { 'if-match': ifMatch ?? '*' };
  const query = { dryRun: action === 'plan' ? ('true' as const) : ('false' as const) };
  try {
    const { data, response } = await client.PUT('/v1/config', { params: { header, query }, body });
    for (const { kind, name, action: done } of data?.diff?.changes ?? [])
      say(`${MARKS[done]} ${kind} ${name}`);
    for (const { route, change } of data?.diff?.routes ?? []) say(`  route ${route}: ${change}`);
    const nodes = data?.diff?.nodes ?? [];
    if (nodes.length > 0) say(`  nodes: ${nodes.join(', ')}`);
    if (data?.diff?.truncated) say('  (and more)');
    const position = response.headers.get('chancery-position');
    if (position !== null) say(`applied: ${position}`);
    else say(action === 'apply' ? 'nothing to change' : 'nothing was changed');
    return 0;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    complain(`chancery: ${error.message}`);
    for (const { pointer = '', message } of error.errors) complain(`  ${pointer} ${message}`);
    return 1;
  }
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch {
    throw new UsageError(`${file} cannot be read`);
  }
}
