/** What the commands that copy stores have in common. */
import type { Config } from '../config/schema.ts';
import { isDigest } from '../core/digest.ts';
import { Failure } from '../core/failure.ts';
import type { Expectations } from '../journal/verify.ts';
import type { StoreOptions } from '../store/options.ts';

/** @throws Failure request_malformed  when one of the two is not in the configuration */
export function expectPinnedStore(
  { store, journal }: Config,
  command: string,
): { readonly store: StoreOptions; readonly expectations: Expectations } {
  const { genesis, instance, environment } = journal;
  if (store === undefined || !isDigest(genesis)) {
    throw new Failure('request_malformed', `\`${command}\` needs store.sqlite.path and journal.genesis`);
  }
  const expectations = {
    genesis,
    ...(instance === undefined ? {} : { instance }),
    ...(environment === undefined ? {} : { environment }),
  };
  return { store, expectations };
}
