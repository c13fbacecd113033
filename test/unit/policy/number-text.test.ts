import { describe, expect, it } from 'vitest';
import { memberNumberText } from '../../../src/policy/number-text.ts';

describe('memberNumberText', () => {
  it.each([
    ['{"http_status":403}', '403'],
    ['{"http_status":403.0}', '403.0'],
    ['{"http_status":4e2}', '4e2'],
    ['{"a":{"http_status":1.0},"http_status":403,"z":{"http_status":2.0}}', '403'],
    ['{"a":{"http_status":1.0}}', undefined],
    ['{"http_status":"403"}', undefined],
    ['{}', undefined],
    ['[{"http_status":1}]', undefined],
    ['403', undefined],
  ])('reads %s as %s', (json, text) => {
    expect(memberNumberText(json, 'http_status')).toBe(text);
  });
});
