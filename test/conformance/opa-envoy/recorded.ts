/** What opa-envoy-plugin answered to the table, as `npm run compare -- --record` wrote it. */
import { readFileSync } from 'node:fs';
import type { Answer } from './answer.ts';

export interface Recorded {
  /** which build of the plugin */
  readonly peer: string;
  /** day of the recording */
  readonly recorded: string;
  /** by case */
  readonly answers: Readonly<Record<string, Answer>>;
}

export const RECORDED_FILE = new URL('opa-envoy-plugin.json', import.meta.url);

export function readRecorded(): Recorded {
  return JSON.parse(readFileSync(RECORDED_FILE, 'utf8')) as Recorded;
}
