/** The policy of the paths that an author names, as the toolchain takes it. */
import { ALL_BUILTINS, HOST_BUILTINS } from '../policy/builtins.ts';
import type { RegoSource } from '../rego/messages.ts';
import { createToolchain, type Toolchain } from '../rego/toolchain.ts';
import { type PolicyFiles, readPolicies } from './policy-paths.ts';

/** Only an author waits for these calls, and ends them with Ctrl-C; a test has a limit of its own besides. */
const OPTIONS = { callTimeoutMs: 600_000, maxQueued: 16, maxMemoryMiB: 2_048 };

export async function withToolchain<Result>(
  action: (toolchain: Toolchain) => Promise<Result>,
): Promise<Result> {
  const toolchain = createToolchain(OPTIONS);
  try {
    return await action(toolchain);
  } finally {
    await toolchain.close();
  }
}

/** @throws Failure not_found, policy_rejected */
export function readSource(
  paths: readonly string[],
  ignore: readonly string[],
  toolchain: Toolchain,
): Promise<RegoSource> {
  return toSource(readPolicies(paths, ignore), toolchain);
}

export async function toSource({ modules, data }: PolicyFiles, toolchain: Toolchain): Promise<RegoSource> {
  const merged = data.length === 0 ? {} : await toolchain.mergeData(data);
  return { modules, data: merged, builtins: ALL_BUILTINS, host: HOST_BUILTINS };
}
