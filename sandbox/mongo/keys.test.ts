import { expect, test } from 'bun:test';
import { Decimal128, Double, Int32, Long, ObjectId } from 'bson';
import { docOf } from './document.ts';
import { compareValues, encodeField, encodeValue, type IndexedField, singleKey } from './keys.ts';

/** In MongoDB's order, each below the next. */
const ORDERED: readonly unknown[] = [
  null,
  Number.NaN,
  new Double(Number.NEGATIVE_INFINITY),
  Long.fromString('-9223372036854775807'),
  new Int32(-2),
  new Double(-0.5),
  0,
  Decimal128.fromString('0.1'),
  new Int32(1),
  2 ** 40,
  '',
  '\0',
  'a',
  'a\0',
  `a${'b'.repeat(200)}`,
  `a${'b'.repeat(201)}`,
  'é',
  docOf({ a: 1 }),
  docOf({ a: 2 }),
  new ObjectId('000000000000000000000000'),
  new ObjectId('0000000000000000000000ff'),
  false,
  true,
  new Date(-8.64e15),
  new Date(-(2 ** 32) - 1),
  new Date(-(2 ** 32)),
  new Date(-1),
  new Date(0),
  new Date(2 ** 32),
  new Date(8.64e15),
];

test('keys sort as their values do, and those of a descending index the other way round', () => {
  for (const [i, a] of ORDERED.entries())
    for (const [j, b] of ORDERED.entries()) {
      const order = Math.sign(i - j);
      const keys = Buffer.compare(encodeValue(a), encodeValue(b));
      const descending = Buffer.compare(encodeField(a, -1), encodeField(b, -1));
      expect([i, j, Math.sign(compareValues(a, b)), keys, -descending || 0]).toEqual([
        i,
        j,
        order,
        order,
        order,
      ]);
    }
});

test('the key of an index of several fields is the keys of its fields, one behind the other', () => {
  const fields: IndexedField[] = [
    [['state'], -1],
    [['spec', 'priority'], 1],
    [['_id'], 1],
  ];
  const _id = new ObjectId();
  const key = singleKey(docOf({ _id, state: 'READY', spec: { priority: 3 } }), fields, false);
  const parts = [encodeField('READY', -1), encodeField(3, 1), encodeField(_id, 1)];
  expect(Buffer.compare(key as Uint8Array, Buffer.concat(parts))).toBe(0);
});

test('an array may have several keys; what is missing has that of null, and none in a sparse index', () => {
  const fields: IndexedField[] = [[['a', 'b'], 1]];
  const key = (document: object, sparse = false) => singleKey(docOf(document), fields, sparse);
  for (const document of [{ a: [1] }, { a: [{ b: 1 }] }, { a: { b: [] } }]) expect(key(document)).toBeNull();
  for (const document of [{}, { a: 1 }, { a: { c: 1 } }, { a: { b: null } }])
    expect(key(document)).toEqual(encodeValue(null));
  expect(key({ a: { c: 1 } }, true)).toBeNull();
  expect(key({ a: { b: null } }, true)).toEqual(encodeValue(null));
});
