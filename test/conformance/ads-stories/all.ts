import { ANSWERS } from './answers.ts';
import { DELTA_SUBSCRIPTIONS } from './delta-subscriptions.ts';
import { ORDER } from './order.ts';
import { RECONNECTS } from './reconnects.ts';
import { SOTW_SUBSCRIPTIONS } from './sotw-subscriptions.ts';
import type { Story } from './story.ts';
import { STREAMS } from './streams.ts';

export const STORIES: readonly Story[] = [
  ...DELTA_SUBSCRIPTIONS,
  ...SOTW_SUBSCRIPTIONS,
  ...ANSWERS,
  ...RECONNECTS,
  ...ORDER,
  ...STREAMS,
];
