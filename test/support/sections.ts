import type { JsonObject } from '../../src/core/json.ts';
import type { Section } from '../../src/journal/section.ts';

/** For reducers of tests that fold nothing worth keeping. */
export const noSection = (name = 'nothing'): Section => ({
  name,
  version: 1,
  capture: () => [],
  restore: () => new Set(),
});

/** What a checkpoint would bring back: another value, through JSON. */
export function captured(section: Section): readonly JsonObject[] {
  return JSON.parse(JSON.stringify([...section.capture()])) as readonly JsonObject[];
}
