import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../src/core/digest.ts';
import { releaseDraft } from '../../../src/policy/release.ts';
import { createPolicyState } from '../../../src/policy/state.ts';
import { anEntry, aRevisionBody } from './policy-entries.ts';

const first = aRevisionBody('quickstart', 'first');
const second = aRevisionBody('quickstart', 'second');
const other = aRevisionBody('other', 'other');

describe('the state of the policies', () => {
  it('keeps revisions in order, and what is released is the latest release', () => {
    const { reducer, view } = createPolicyState();
    expect(reducer.apply(anEntry(1, { kind: 'policy.revision', body: first }))).toEqual([
      'policy/quickstart',
    ]);
    expect(view.released('quickstart')).toBeUndefined();
    reducer.apply(anEntry(2, { kind: 'policy.revision', body: second }));
    expect(reducer.apply(anEntry(3, releaseDraft({ body: second })))).toEqual(['release/quickstart']);
    expect(view.released('quickstart')?.revision).toBe(second.revision);

    reducer.apply(anEntry(4, releaseDraft({ body: first })));

    expect(view.revisions('quickstart').map(({ revision, seq }) => [revision, seq])).toEqual([
      [first.revision, 1],
      [second.revision, 2],
    ]);
    const { toolchain, abi, artefact, revision } = first;
    expect(view.released('quickstart')).toEqual({
      policy: 'quickstart',
      revision,
      body: { policy: 'quickstart', revision, artefact, toolchain, abi },
      digest: sha256('entry 4'),
      epoch: 1,
      seq: 4,
      at: '2023-11-14T22:13:24.000Z',
    });
  });

  it('lists names in alphabetical order and releases of one policy or of all', () => {
    const { reducer, view } = createPolicyState();
    reducer.apply(anEntry(1, { kind: 'policy.revision', body: first }));
    reducer.apply(anEntry(2, { kind: 'policy.revision', body: other }));
    reducer.apply(anEntry(3, releaseDraft({ body: first })));
    reducer.apply(anEntry(4, releaseDraft({ body: other })));
    expect(view.names()).toEqual(['other', 'quickstart']);
    expect(view.releases().map(({ seq }) => seq)).toEqual([3, 4]);
    expect(view.releases('other').map(({ seq }) => seq)).toEqual([4]);
    expect(view.revisions('unknown')).toEqual([]);
    expect(view.releases('unknown')).toEqual([]);
  });

  it('does not take an entry whose body has not the form of its kind', () => {
    const { reducer } = createPolicyState();
    const entry = anEntry(7, { kind: 'policy.release', body: { policy: 'quickstart' } });
    expect(() => reducer.apply(entry)).toThrow('entry 7');
  });
});
