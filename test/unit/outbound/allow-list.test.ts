import { describe, expect, it } from 'vitest';
import { createAllowList } from '../../../src/outbound/allow-list.ts';

const allows = (allowed: readonly string[], url: string): boolean =>
  createAllowList(allowed).allows(new URL(url));

describe('a host of the allow-list', () => {
  it.each([
    [['api.example.org'], 'https://api.example.org/a?b', true],
    [['api.example.org'], 'http://API.example.ORG/', true],
    [['API.Example.org'], 'http://api.example.org/', true],
    [['api.example.org'], 'https://api.example.org:443/', true],
    [['api.example.org'], 'http://user:secret@api.example.org/', true],
    [['api.example.org:8443'], 'https://api.example.org:8443/', true],
    [['api.example.org:443'], 'https://api.example.org/', true],
    [['*.example.org'], 'https://a.b.example.org/', true],
    [['*.example.org:81'], 'http://a.example.org:81/', true],
    [['127.0.0.1'], 'http://2130706433/', true],
    [['[::1]:81'], 'http://[0:0::1]:81/', true],
    [['bücher.example'], 'http://xn--bcher-kva.example/', true],
  ])('may be asked: %j, %s', (allowed, url, expected) => {
    expect(allows(allowed, url)).toBe(expected);
  });

  it.each([
    [['api.example.org'], 'https://api.example.org:8443/'],
    [['api.example.org'], 'http://api.example.org:443/'],
    [['api.example.org:443'], 'http://api.example.org/'],
    [['api.example.org'], 'https://api.example.org.evil.test/'],
    [['api.example.org'], 'https://evil.test/api.example.org'],
    [['api.example.org'], 'https://api.example.org@evil.test/'],
    [['api.example.org'], 'https://evil.test#@api.example.org/'],
    [['api.example.org'], 'https://evil.test\\@api.example.org/'],
    [['api.example.org'], 'https://xapi.example.org/'],
    [['api.example.org'], 'https://api.example.org./'],
    [['api.example.org'], 'ftp://api.example.org/'],
    [['*.example.org'], 'https://example.org/'],
    [['*.example.org'], 'https://evilexample.org/'],
    [['*.example.org'], 'https://a.example.org:81/'],
    [['127.0.0.1'], 'http://127.0.0.2/'],
  ])('is no other one: %j, %s', (allowed, url) => {
    expect(allows(allowed, url)).toBe(false);
  });

  it.each(['999.1.1.1', '[:::]'])('must be a host: %s', (host) => {
    expect(() => createAllowList([host])).toThrow(/allowedHosts/);
  });

  it('may be looked up by its name, whatever the port', () => {
    const { allowsName } = createAllowList(['api.example.org:8443', '*.example.net', '[::1]']);
    const names = ['api.example.org', 'API.example.org', 'x.example.net', '::1'];
    expect(names.filter((name) => !allowsName(name))).toEqual([]);
    const others = ['example.net', 'evil.test', 'evil.test/api.example.org', 'a@api.example.org', '', '::2'];
    expect(others.filter((name) => allowsName(name))).toEqual([]);
  });
});
