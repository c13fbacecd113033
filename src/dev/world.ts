/** What `chancery dev` puts into its journal, over the same REST API that everybody uses. */

import { ApiError } from '../client/api-error.ts';
import type { AdminClient } from '../client/client.ts';
import type { components } from '../client/schema.d.ts';
import { DEV_PORTS } from './ports.ts';

type Schemas = components['schemas'];

export const DEV_POLICY = 'quickstart';
export const DEV_NODE = 'dev';

export interface DevIdentity {
  readonly issuer: string;
  readonly jwksUri: string;
  readonly audience: string;
}

/** `hello` asks for a token; below `/public` nobody needs one. Both ask the same policy. */
function devServices(upstreamPort: number): Record<string, Schemas['Service']> {
  const common = { hosts: ['*'], access: 'policy' as const, policy: DEV_POLICY };
  const endpoints = [{ address: '127.0.0.1', port: upstreamPort }];
  return {
    hello: { ...common, prefix: '/', authenticate: 'jwt', endpoints },
    public: { ...common, prefix: '/public', authenticate: 'none', endpoints },
  };
}

export async function putDevWorld(
  client: AdminClient,
  identity: DevIdentity,
  upstreamPort: number,
): Promise<void> {
  const { issuer, jwksUri, audience } = identity;
  await putIssuer(client, { issuer, jwksUri, audiences: [audience], algorithms: ['ES256'] });
  for (const [name, body] of Object.entries(devServices(upstreamPort))) await putService(client, name, body);
  await putNode(client, {
    services: ['hello', 'public'],
    listener: { address: '127.0.0.1', port: DEV_PORTS.envoy },
  });
}

/** Publishes and releases. @returns the revision, and whether it is another one than before */
export async function releasePolicy(
  client: AdminClient,
  body: Schemas['PolicySource'],
): Promise<{ readonly revision: string; readonly changed: boolean }> {
  const path = { name: DEV_POLICY };
  const before = await orUndefined(client.GET('/v1/policies/{name}', { params: { path } }));
  const header = conditionOf(before?.response);
  const { data } = await client.PUT('/v1/policies/{name}', { params: { path, header }, body });
  const revision = data?.revision ?? '';
  if (data?.released === revision) return { revision, changed: false };
  await client.POST('/v1/releases', { body: { policy: DEV_POLICY, revision } });
  return { revision, changed: true };
}

export async function readBootstrap(client: AdminClient): Promise<string> {
  const { data } = await client.GET('/v1/nodes/{id}/bootstrap', { params: { path: { id: DEV_NODE } } });
  return JSON.stringify(data, null, 2);
}

async function putIssuer(client: AdminClient, body: Schemas['Issuer']): Promise<void> {
  const path = { name: 'dev' };
  const before = await orUndefined(client.GET('/v1/issuers/{name}', { params: { path } }));
  await client.PUT('/v1/issuers/{name}', { params: { path, header: conditionOf(before?.response) }, body });
}

async function putService(client: AdminClient, name: string, body: Schemas['Service']): Promise<void> {
  const path = { name };
  const before = await orUndefined(client.GET('/v1/services/{name}', { params: { path } }));
  // What somebody changed in the tour stays as it is.
  if (before !== undefined) return;
  await client.PUT('/v1/services/{name}', { params: { path, header: conditionOf(undefined) }, body });
}

async function putNode(client: AdminClient, body: Schemas['Node']): Promise<void> {
  const path = { id: DEV_NODE };
  const before = await orUndefined(client.GET('/v1/nodes/{id}', { params: { path } }));
  if (before !== undefined) return;
  await client.PUT('/v1/nodes/{id}', { params: { path, header: conditionOf(undefined) }, body });
}

/** `If-Match` on what was read, or "create it" where there was nothing. */
function conditionOf(read: Response | undefined): Record<string, string> {
  const tag = read?.headers.get('etag');
  return tag ? { 'if-match': tag } : { 'if-none-match': '*' };
}

async function orUndefined<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}
