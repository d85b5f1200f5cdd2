import { expect, test } from 'bun:test';
import { duration } from './duration.ts';
import { defaultPrefix, nameSpan, rangeOf, sanitizePrefix, vmNames } from './names.ts';
import { parseMetadata, parsePairs, redact } from './pairs.ts';

test.each([
  ['demo', 'demo'],
  ['Grace_Hopper', 'grace-hopper'],
  ['my workflow', 'my'],
  ['wcWorkflow-2', 'wc-2'],
  ['a--', 'a'],
  ['fireworker-ü.x', 'fireworker--x'],
  ['a'.repeat(58), 'a'.repeat(58)],
])('the prefix %s is %s', (given, prefix) => {
  expect(sanitizePrefix(given)).toBe(prefix);
});

test.each(['', '7up', '-a', 'Workflow', 'ü', 'a'.repeat(59)])('the prefix %s is refused', (given) => {
  expect(() => sanitizePrefix(given)).toThrow(`PREFIX '${given}'`);
});

test('the prefix when nobody says otherwise', () => {
  expect(defaultPrefix({ USER: 'grace' })).toBe('fireworker-grace');
  expect(defaultPrefix({})).toMatch(/^fireworker-./);
});

test.each([
  [undefined, undefined, {}],
  ['0', '0', { base: 0, count: 0 }],
  ['7', '1000', { base: 7, count: 1000 }],
  [' 7 ', undefined, { base: 7 }],
])('--base %s --count %s is %j', (base, count, range) => {
  expect(rangeOf(base, count)).toEqual(range);
});

test.each([
  ['-1', undefined, '--base -1: must be at least 0'],
  [undefined, '-1', '--count -1: must be at least 0'],
  [undefined, '1001', '--count 1001: must be at most 1000'],
  [undefined, '', '--count : must be a whole number'],
  [undefined, '1e3', '--count 1e3: must be a whole number'],
  [undefined, '0x10', '--count 0x10: must be a whole number'],
  ['99999999999', undefined, '--base 99999999999: must be at most 1000000'],
])('--base %s --count %s is refused', (base, count, message) => {
  expect(() => rangeOf(base, count)).toThrow(
    expect.objectContaining({ exitCode: 2, message: expect.stringContaining(message) }),
  );
});

test('names and spans', () => {
  expect(vmNames('demo', 8, 3)).toEqual(['demo-8', 'demo-9', 'demo-10']);
  expect(vmNames('demo', 8, 0)).toEqual([]);
  expect(vmNames('a'.repeat(58), 9998, 2)[1]).toHaveLength(63);
  expect(() => vmNames('a'.repeat(58), 9998, 3)).toThrow('a VM may have at most 63 characters');
  expect([nameSpan([]), nameSpan(['a']), nameSpan(['a', 'b', 'c'])]).toEqual(['none', 'a', 'a .. c']);
});

test.each([
  [0, '0s'],
  [-5, '0s'],
  [59_999, '59s'],
  [192_000, '3m12s'],
  [18_120_000, '5h02m'],
  [187_200_000, '2d04h'],
])('%d ms are %s', (ms, text) => {
  expect(duration(ms)).toBe(text);
});

test.each([
  [['a=b', 'c=d=e'], { a: 'b', c: 'd=e' }],
  [[' a = b '], { a: 'b' }],
  [['a', 'b='], { a: '', b: '' }],
  [['a=1', 'a=2'], { a: '2' }],
  [['url=mongodb://u:p@h/?x=y'], { url: 'mongodb://u:p@h/?x=y' }],
])('%j are the pairs %j', (pairs, found) => {
  expect(parsePairs('-m', pairs)).toEqual(found as Record<string, string>);
});

test('pairs without a key, and metadata keys that Compute refuses', () => {
  expect(() => parsePairs('-o', ['=b'])).toThrow('-o =b: must be KEY=VALUE');
  for (const pair of ['a b=c', 'ü=1', `${'k'.repeat(129)}=1`, 'a.b=c'])
    expect(() => parseMetadata([pair])).toThrow('-m ');
  expect(parseMetadata(['idle_for_rockets=60', 'my-key=x'])).toEqual({
    idle_for_rockets: '60',
    'my-key': 'x',
  });
});

test('secrets are not shown, also inside connection strings', () => {
  expect(
    redact({
      db: 'x',
      password: 'p',
      api_token: 't',
      host: 'mongodb+srv://user:pa@ss@h.example/db?a=b@c',
      plain: 'https://h.example/x',
      mail: 'me@h.example',
    }),
  ).toEqual({
    db: 'x',
    password: '***',
    api_token: '***',
    host: 'mongodb+srv://***@h.example/db?a=b@c',
    plain: 'https://h.example/x',
    mail: 'me@h.example',
  });
});
