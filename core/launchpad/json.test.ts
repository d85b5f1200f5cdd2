import { describe, expect, test } from 'bun:test';
import { Double, Int32, Long, ObjectId } from 'bson';
import { fromJson, toJson } from './json.ts';
import { testPad } from './test_pad.ts';
import { type Doc, TYPED } from './values.ts';

test.each<[string, unknown, string]>([
  ['an integer', 1, '1'],
  ['an integer read from BSON', new Int32(-1), '-1'],
  ['a float that is whole', new Double(1), '1.0'],
  ['a float', 0.1, '0.1'],
  ['a large float', new Double(1e300), '1e+300'],
  ['minus nought', new Double(-0), '-0.0'],
  ['beyond 2^53', Long.fromBigInt(2n ** 53n + 1n), '9007199254740993'],
  ['the smallest of 64 bits', Long.fromBigInt(-(2n ** 63n)), '-9223372036854775808'],
  ['a bigint', 2n ** 62n, '4611686018427387904'],
  [
    'what Python writes and JSON has not',
    [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
    '[NaN, Infinity, -Infinity]',
  ],
  ['a text with NUL, a quote and a backslash', 'a\0"\\', String.raw`"a\u0000\"\\"`],
  ['nothing', { a: null, b: undefined }, '{"a": null}'],
  ['empty ones', [[], {}], '[[], {}]'],
  ['a date', new Date(0), '"1970-01-01T00:00:00.000"'],
  ['an ObjectId', new ObjectId('0123456789abcdef01234567'), '"0123456789abcdef01234567"'],
])('writes %s', (_, value, text) => {
  expect(toJson(value)).toBe(text);
});

test('indents as Python does', () => {
  expect(toJson({ a: [1, { b: 2 }], c: [] }, 2)).toBe(
    '{\n  "a": [\n    1,\n    {\n      "b": 2\n    }\n  ],\n  "c": []\n}',
  );
});

test.each([
  '0',
  '-7',
  '2147483647',
  '2147483648',
  '-2147483649',
  '9007199254740993',
  '-9223372036854775808',
  '1.0',
  '-0.0',
  '1.5',
  '[NaN, -Infinity, Infinity]',
  '{"__proto__": {"a": 1}, "constructor": [], "": null}',
  '"a\\u0000b"',
  '[true, false, null, [[[]]]]',
  '"λ→\u{1F680}"',
])('what is read is written again: %s', (text) => {
  expect(toJson(fromJson(text))).toBe(text);
});

test('integers of more than 64 bits become floats, as nothing else can keep them', () => {
  expect(fromJson('9223372036854775808')).toEqual(new Double(2 ** 63));
});

test('a float is a float in the database too, and an integer of 64 bits keeps its digits', async () => {
  await using pad = await testPad();
  const things = pad.launchpad.db.collection('things');
  const text =
    '{"f": 1.0, "i": 1, "l": 9007199254740993, "n": [NaN, Infinity], "z": "\\u0000", "__proto__": 2.0}';
  await things.insertOne(fromJson(text) as Doc);
  expect(toJson(await things.findOne({}, { ...TYPED, projection: { _id: 0 } }))).toBe(text);
});

test('a text of many megabytes, with quotes and backslashes in it', () => {
  const long = `${'λ'.repeat(3_000_000)}\\"\\\\"${'x'.repeat(3_000_000)}`;
  expect((fromJson(toJson({ long, after: 1 })) as Doc).long === long).toBe(true);
});

describe('what is no JSON is told with its line', () => {
  test.each([
    ['{"a": 1,\n"b": }', `'}' in line 2`],
    ['{"a": 1', 'the end in line 1'],
    ['[1 2]', `in line 1`],
    ['{a: 1}', `'a: 1}' in line 1`],
    ['01', `'1' in line 1`],
    ['"open', `'"open' in line 1`],
    [String.raw`"\q"`, `in line 1`],
    ['"a\tb"', 'in line 1'],
    ['[1],', `',' in line 1`],
    ['', 'the end in line 1'],
  ])('%j', (text, message) => {
    expect(() => fromJson(text)).toThrow(`not JSON: `);
    expect(() => fromJson(text)).toThrow(message);
  });
});
