import { ApiError } from '../client/api-error.ts';
import { type AdminClient, createClient } from '../client/client.ts';

export interface TokenOptions {
  readonly baseUrl: string;
  /** what was kept from the last time; '' when there is none */
  readonly kept: string;
  /** a one-time token, for when there is none or it has expired */
  readonly oneTimeToken: () => Promise<string>;
}

const DAY_MS = 86_400_000;
const LIFE_DAYS = 30;
const RENEW_BELOW_DAYS = 15;

/** @returns an admin token that is good for at least 15 days: the kept one, or one that takes its place */
export async function ensureToken({ baseUrl, kept, oneTimeToken }: TokenOptions): Promise<string> {
  const connect = (token: string): AdminClient => createClient({ baseUrl, token });
  const begin = async (): Promise<string> => issueToken(connect(await oneTimeToken()));
  if (kept === '') return begin();
  try {
    return await renewToken(connect, kept);
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return begin();
    throw error;
  }
}

async function renewToken(connect: (token: string) => AdminClient, kept: string): Promise<string> {
  const { data } = await connect(kept).GET('/v1/tokens', { params: { query: { limit: 1000 } } });
  const mine = data?.items.find(({ id }) => kept.startsWith(`chy_${id}.`));
  if (mine !== undefined && Date.parse(mine.expiresAt) > Date.now() + RENEW_BELOW_DAYS * DAY_MS) return kept;
  const next = await issueToken(connect(kept));
  if (mine !== undefined)
    await connect(next).DELETE('/v1/tokens/{id}', { params: { path: { id: mine.id } } });
  return next;
}

async function issueToken(client: AdminClient): Promise<string> {
  const expiresAt = new Date(Date.now() + LIFE_DAYS * DAY_MS).toISOString();
  const { data } = await client.POST('/v1/tokens', { body: { name: 'dev', expiresAt } });
  if (data === undefined) throw new Error('no token was issued');
  return data.token;
}
