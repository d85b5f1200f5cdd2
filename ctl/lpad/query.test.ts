import { expect, test } from 'bun:test';
import { plain } from '../../core/launchpad/index.ts';
import { parseQuery } from './query.ts';

test.each([
  ['{}', {}],
  [`{'state': 'READY'}`, { state: 'READY' }],
  [`{"state": "READY", "n": null, "b": true}`, { state: 'READY', n: null, b: true }],
  [`{'a': None, 'b': True, 'c': False,}`, { a: null, b: true, c: false }],
  [`{'fw_id': {'$in': [1, 2, 3,]}, 't': (1, -2)}`, { fw_id: { $in: [1, 2, 3] }, t: [1, -2] }],
  [`{'x': 1.5e3, 'y': 1.0, 'z': 1_000}`, { x: 1500, y: 1, z: 1000 }],
  [String.raw`{'a': 'it\'s', 'b': "\u00fc\n\d"}`, { a: "it's", b: 'ü\n\\d' }],
  [`{1: 'one'}`, { '1': 'one' }],
  [`{'big': 9007199254740993}`, { big: 9007199254740993n }],
])('%s', (text, value) => {
  expect(plain(parseQuery(text))).toEqual(value);
});

test.each([
  '',
  '[]',
  '1',
  'READY',
  `{'a'}`,
  `{'a': }`,
  `{'a': b}`,
  `{'a': 1`,
  `{'a': '`,
  `{} {}`,
  `{'a': open('x')}`,
])('%s is refused with the flag and an example', (text) => {
  expect(() => parseQuery(text, '-wfq')).toThrow(/^-wfq .*\{"state": "READY"\}/);
});
