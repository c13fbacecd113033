/** The first entries of an in-memory journal: the policies of the command line, then `state` of the configuration. */
import { createFileToken } from '../admin/tokens.ts';
import type { Config } from '../config/schema.ts';
import { Failure } from '../core/failure.ts';
import { putIssuer } from '../identity/commit.ts';
import type { Issuer } from '../identity/model.ts';
import type { Writer } from '../journal/fold.ts';
import type { Draft } from '../journal/journal.ts';
import { publishPolicy } from '../policy/publish.ts';
import { releaseDraft } from '../policy/release.ts';
import type { PolicySource } from '../policy/source.ts';
import { putGrant, putService, putSettings } from '../registry/commit.ts';
import type { Grant, Service, Settings } from '../registry/model.ts';
import type { Toolchain } from '../rego/toolchain.ts';
import type { World } from './world.ts';

export interface NamedPolicy {
  readonly name: string;
  readonly source: PolicySource;
}

export interface Seed {
  readonly policies: readonly NamedPolicy[];
  readonly state: Config['state'];
  /** what a smoke case may take */
  readonly limits: Config['policy'];
  /** content of `admin.tokenFile` */
  readonly token?: string;
}

const DEADLINE_MS = 60_000;
const ACTOR = 'system:serve';

/** @throws Failure policy_rejected, registry_rejected  with what is wrong and where */
export async function seedJournal(
  seed: Seed,
  world: World,
  writer: Writer,
  toolchain: Toolchain,
): Promise<void> {
  const signal = AbortSignal.timeout(DEADLINE_MS);
  let count = 0;
  const append = async (...prepare: readonly [() => Draft, ...(() => Draft)[]]): Promise<void> => {
    count += 1;
    await writer.change(
      {
        id: `seed:${count}`,
        actor: ACTOR,
        prepare() {
          const [first, ...rest] = prepare;
          return { drafts: [first(), ...rest.map((draft) => draft())], result: undefined };
        },
      },
      signal,
    );
  };

  if (seed.token !== undefined) {
    const { draft } = createFileToken(seed.token, world);
    await append(() => draft);
  }
  for (const { name, source } of seed.policies) {
    const prepared = await publishPolicy(name, source, { toolchain, signal, ...seed.limits });
    await Promise.all([world.blobs.put(prepared.source), world.blobs.put(prepared.artefact)]);
    await append(
      () => prepared.draft,
      () => releaseDraft(prepared),
    );
  }
  await appendState(seed.state ?? {}, world, append);
}

async function appendState(
  state: NonNullable<Config['state']>,
  { state: { registry, issuers } }: World,
  append: (prepare: () => Draft) => Promise<void>,
): Promise<void> {
  const { view } = registry;
  // Each function checks the form of what it is given: it comes from a file.
  for (const [name, issuer] of Object.entries(state.issuers ?? {})) {
    await at(`issuers/${name}`, () => append(() => putIssuer(issuers.view, name, issuer as Issuer)));
  }
  for (const [name, service] of Object.entries(state.services ?? {})) {
    await at(`services/${name}`, () => append(() => putService(view, name, service as Service)));
  }
  for (const [service, grants] of Object.entries(state.grants ?? {})) {
    for (const [id, grant] of Object.entries(grants)) {
      await at(`grants/${service}/${id}`, () => append(() => putGrant(view, service, id, grant as Grant)));
    }
  }
  if (state.settings !== undefined) {
    await at('settings', () => append(() => putSettings(view, state.settings as Settings)));
  }
}

/** An error in the file names where in the file. */
async function at(place: string, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (thrown) {
    const failure = Failure.from(thrown);
    const issues = failure.issues.map((issue) => ({
      ...issue,
      pointer: `/state/${place}${issue.pointer ?? ''}`,
    }));
    throw new Failure(failure.code, `/state/${place}: ${failure.detail}`, { issues, cause: failure });
  }
}
