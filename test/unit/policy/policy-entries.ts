import { type Digest, sha256 } from '../../../src/core/digest.ts';
import type { FoldedEntry } from '../../../src/journal/fold.ts';
import type { Draft } from '../../../src/journal/journal.ts';
import type { RevisionBody } from '../../../src/policy/bodies.ts';

/** Entry `seq` of a journal, as a follower gives it to a reducer. */
export function anEntry(seq: number, { kind, body }: Draft): FoldedEntry {
  const at = new Date(1_700_000_000_000 + seq * 1_000).toISOString();
  return {
    seq,
    epoch: 1,
    digest: sha256(`entry ${seq}`),
    at,
    actor: 'test',
    commitId: `c${seq}`,
    kind,
    body,
  };
}

export function aRevisionBody(
  policy: string,
  text: string,
  artefact: Digest = sha256(`wasm ${text}`),
): RevisionBody {
  const revision = sha256(text);
  const toolchain = 'opa 1.22.2';
  return {
    policy,
    revision,
    source: revision,
    artefact,
    entrypoints: ['envoy/authz/allow'],
    toolchain,
    abi: '1.3',
    tests: 0,
  };
}
