import { describe, expect, it } from 'vitest';
import { parseJsonText } from '../../../src/audit/json-text.ts';
import { scrubTarget, scrubText } from '../../../src/audit/scrub.ts';

describe('a text without its secrets', () => {
  it.each([
    ['eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.sig', 'redacted'],
    ['v_eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0', 'v_redacted'],
    ['a=eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.;b', 'a=redacted;b'],
    ['Bearer abcdefgh, x', 'Bearer redacted, x'],
    [`Basic ${Buffer.from('me:secret').toString('base64')}`, 'Basic redacted'],
    ['basic introduction', 'basic introduction'],
    ['keyJourney.html', 'keyJourney.html'],
    ['keyJourney.html.eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.sig', 'keyJourney.html.redacted'],
    ['https://me:secret@host/x', 'https://redacted@host/x'],
    ['me@host', 'me@host'],
  ])('of %s is %s', (text, expected) => expect(scrubText(text)).toBe(expected));

  it('takes one pass, whatever a client has chosen', () => {
    const size = 400_000;
    const texts = ['eyJ', 'eyJ-', 'bearer ', '//a:', 'basic+', '?token', 'a.', '@:'].map((piece) =>
      piece.repeat(size),
    );
    for (const text of texts) expect(scrubTarget(text, () => true).length).toBeGreaterThan(0);
  });
});

describe('JSON of the log', () => {
  it.each([
    '12345678901234567890',
    '1.0',
    '1e3',
    '-0.10',
    '[1.50,"1.50",{"a":1E5}]',
    '{"__proto__":{"a":2.0}}',
  ])('keeps %s as it was written', (text) => expect(JSON.stringify(parseJsonText(text))).toBe(text));
});
