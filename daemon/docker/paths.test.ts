import { describe, expect, test } from 'bun:test';
import { duration, mapPath, objectName, stampOf } from './paths.ts';

const STAMP = '20260102.030405';

describe('a path is rebased from internal_prefix', () => {
  const cases: [string, string, object][] = [
    ['/wc/in.txt', '/wc', { capture: null, tree: false, internal: '/wc/in.txt', sub: 'in.txt' }],
    ['/wc/in.txt', '/wc/', { capture: null, tree: false, internal: '/wc/in.txt', sub: 'in.txt' }],
    ['/wc/a/b/', '/wc', { capture: null, tree: true, internal: '/wc/a/b/', sub: 'a/b/' }],
    ['/wc/', '/wc', { capture: null, tree: true, internal: '/wc/', sub: '' }],
    ['/wc//a///b.txt', '/wc', { capture: null, tree: false, internal: '/wc/a/b.txt', sub: 'a/b.txt' }],
    ['/wc/a/../b', '/wc', { capture: null, tree: false, internal: '/wc/b', sub: 'b' }],
    ['/wc/a..b', '/wc', { capture: null, tree: false, internal: '/wc/a..b', sub: 'a..b' }],
    ['/etc/x', '/', { capture: null, tree: false, internal: '/etc/x', sub: 'etc/x' }],
    ['>/wc/out.txt', '/wc', { capture: '>', tree: false, internal: '/wc/out.txt', sub: 'out.txt' }],
    ['> /wc/out.txt', '/wc', { capture: '>', tree: false, internal: '/wc/out.txt', sub: 'out.txt' }],
    [
      '>>/wc/logs/run.log',
      '/wc',
      { capture: '>>', tree: false, internal: `/wc/logs/${STAMP}_run.log`, sub: `logs/${STAMP}_run.log` },
    ],
  ];
  test.each(cases)('%s below %s', (path, prefix, mapped) => {
    expect(mapPath(path, prefix, STAMP)).toEqual(mapped as never);
  });
});

describe('refused', () => {
  const cases: [string, string][] = [
    ['/etc/passwd', "'/etc/passwd' is outside of internal_prefix '/wc'"],
    ['/wc/../etc/passwd', "'/wc/../etc/passwd' is outside of internal_prefix '/wc'"],
    ['/wc/a/../../etc/', "'/wc/a/../../etc/' is outside of internal_prefix '/wc'"],
    ['/wcother/x', "'/wcother/x' is outside of internal_prefix '/wc'"],
    ['>>/etc/x.log', "'>>/etc/x.log' is outside of internal_prefix '/wc'"],
    ['/', "'/' is outside of internal_prefix '/wc'"],
    ['wc/in.txt', "'wc/in.txt': must be an absolute path in the container"],
    ['', "'': must be an absolute path in the container"],
    ['>', "'>': must be an absolute path in the container"],
    ['>/wc/dir/', "'>/wc/dir/': what is captured goes to a file; this names a folder"],
    ['>>/wc/dir/', "'>>/wc/dir/': what is captured goes to a file; this names a folder"],
    ['/wc', "'/wc' is internal_prefix itself: name a file below it, or the folder with a '/' at its end"],
    ['/wc/a\0b', "'/wc/a\0b': must not contain NUL"],
  ];
  test.each(cases)('%j', (path, message) => {
    expect(() => mapPath(path, '/wc', STAMP)).toThrow(
      expect.objectContaining({ name: 'BorealisError', message }),
    );
  });
});

test('names in storage', () => {
  expect(objectName('', 'a/b')).toBe('a/b');
  expect(objectName('run/1', 'a/')).toBe('run/1/a/');
  expect(objectName('run/1//', 'a')).toBe('run/1/a');
});

test('stamps and durations read as upstream’s', () => {
  expect(stampOf(new Date(2026, 0, 2, 3, 4, 5))).toBe('20260102.030405');
  const cases: [number, string][] = [
    [0, '0:00:00'],
    [59.6, '0:01:00'],
    [3600, '1:00:00'],
    [90_061, '1 day, 1:01:01'],
    [180_000, '2 days, 2:00:00'],
  ];
  for (const [seconds, text] of cases) expect(duration(seconds)).toBe(text);
});
