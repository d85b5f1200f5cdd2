import { describe, expect, test } from 'bun:test';
import { Binary, Double, Int32, Long, ObjectId } from 'bson';
import { testPad } from './test_pad.ts';
import { copy, type Doc, isDoc, isoTime, numberOf, plain, TYPED, timeOf, typed } from './values.ts';

test.each<[unknown, unknown]>([
  [new Int32(7), 7],
  [new Double(1), 1],
  [Long.fromNumber(2 ** 40), 2 ** 40],
  [Long.fromBigInt(2n ** 53n + 1n), 2n ** 53n + 1n],
  [[{ a: new Double(1.5) }], [{ a: 1.5 }]],
  ['text', 'text'],
  [null, null],
])('plain: %j', (value, expected) => {
  expect(plain(value)).toEqual(expected);
});

test('dates, ObjectIds and bytes stay what they are', () => {
  const values = { at: new Date(0), id: new ObjectId(), bytes: new Binary(Buffer.from('x')) };
  for (const change of [plain, typed, copy]) expect(change(values)).toEqual(values);
});

test.each<[unknown, boolean]>([
  [{}, true],
  [{ $a: 1 }, true],
  [[], false],
  [null, false],
  [new Date(), false],
  [/x/, false],
  [new ObjectId(), false],
  [new Double(1), false],
  ['x', false],
])('is a dictionary or not: %j', (value, expected) => {
  expect(isDoc(value)).toBe(expected);
});

test('numberOf', () => {
  expect([1, new Int32(1), new Double(1), Long.fromNumber(1), '1'].map(numberOf)).toEqual([1, 1, 1, 1, 1]);
});

test('a copy shares no dictionary and no list', () => {
  const one = { a: [{ b: 1 }] };
  const other = copy(one);
  (other.a[0] as { b: number }).b = 2;
  expect(one).toEqual({ a: [{ b: 1 }] });
});

/** What BSON made of what was written. */
test('numbers are written as Python writes them, and come back as they are', async () => {
  await using pad = await testPad();
  const things = pad.launchpad.db.collection('things');
  const values = {
    small: 1,
    large: 2 ** 31,
    huge: 2 ** 53 - 1,
    big: 2n ** 60n,
    half: 0.5,
    whole: new Double(3),
  };
  await things.insertOne(typed({ ...values, gone: undefined, ['__proto__']: 1 }) as Doc);
  const read = (await things.findOne({}, { ...TYPED, projection: { _id: 0 } })) as Doc;
  const types = Object.entries(read).map(([key, value]) => [key, (value as { _bsontype: string })._bsontype]);
  expect(Object.fromEntries(types.filter(([key]) => key !== '__proto__'))).toEqual({
    small: 'Int32',
    large: 'Long',
    huge: 'Long',
    big: 'Long',
    half: 'Double',
    whole: 'Double',
  });
  expect(Object.keys(read)).toContain('__proto__');
  expect(Object.keys(read)).not.toContain('gone');
  // Written again, nothing has changed.
  await things.insertOne({ ...read });
  const [first, second] = await things.find({}, { projection: { _id: 0 }, raw: true }).toArray();
  expect(second).toEqual(first as never);
});

describe('dates', () => {
  test('are written in UTC with microseconds and offset, so that they sort as text', () => {
    expect(isoTime(new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 6)))).toBe('2026-01-02T03:04:05.006000+00:00');
  });

  test.each<[unknown, string | null]>([
    ['2026-01-02T03:04:05.678901+00:00', '2026-01-02T03:04:05.678Z'],
    ['2026-01-02T03:04:05.678901', '2026-01-02T03:04:05.678Z'],
    ['2026-01-02T03:04:05', '2026-01-02T03:04:05.000Z'],
    ['2026-01-02T03:04:05+02:00', '2026-01-02T01:04:05.000Z'],
    ['2026-01-02T03:04:05.5-0130', '2026-01-02T04:34:05.500Z'],
    [new Date(0), '1970-01-01T00:00:00.000Z'],
    ['yesterday', null],
    [7, null],
    [null, null],
  ])('%j', (value, expected) => {
    expect(timeOf(value)?.toISOString() ?? null).toBe(expected);
  });
});
