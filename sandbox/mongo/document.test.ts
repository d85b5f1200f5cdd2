import { expect, test } from 'bun:test';
import { deserialize, serialize } from 'bson';
import { Doc } from './document.ts';
import { compareValues, encodeValue } from './keys.ts';

/** `a1`, `é2`, ...: names of one byte a letter and of two; some are the end of others. */
const wide = (fields: number): Record<string, number> =>
  Object.fromEntries(Array.from({ length: fields }, (_, i) => [`${i % 2 ? 'é' : 'a'}${i}`, i]));

test.each([3, 64, 65, 2000])('fields of a document of %d are found, set and added in their place', (size) => {
  const plain = wide(size);
  const bytes = serialize(plain);
  const untouched = Buffer.from(bytes);
  const last = Object.keys(plain).at(-1) as string;
  // One after the other on one document: more of them than are searched for.
  const document = new Doc(bytes);
  for (const key of [...Object.keys(plain).slice(0, 3), last, ...Object.keys(plain).slice(-20)]) {
    expect(Number(document.get(key))).toBe(plain[key] as number);
    expect(document.has(`${key}0000`)).toBe(false);
    const copy = document.copy();
    copy.set(key, 'set');
    copy.set('new', true);
    expect(JSON.stringify(deserialize(copy.bytes))).toBe(
      JSON.stringify({ ...plain, [key]: 'set', new: true }),
    );
    copy.delete(key);
    expect(copy.has(key)).toBe(false);
    expect(copy.size).toBe(size);
  }
  expect(document.keys()).toEqual(Object.keys(plain));
  expect(document.bytes).toEqual(untouched);
});

test.each([3, 2000])('of the fields of %d some are picked in the order of the document', (size) => {
  const plain = wide(size);
  const [first, second, third] = Object.keys(plain) as [string, string, string];
  const wanted = (...keys: string[]) => new Map(keys.map((key) => [key, true]));
  const among = (...keys: string[]) => new Doc(serialize(plain)).keysAmong(wanted(...keys));
  expect(among(second, first)).toEqual([first, second]);
  expect(among(third, 'no', second, first)).toEqual([first, second, third]);
  expect(among('no')).toEqual([]);
});

test('texts are ordered by code points, as their bytes are', () => {
  const texts = [
    '',
    'a',
    'a\0',
    'ab',
    'b',
    'é',
    '\ud7ff',
    '\ue000',
    '\uffff',
    '\u{10000}',
    '\u{1f600}a',
    '\u{1f601}',
  ];
  for (const a of texts)
    for (const b of texts) {
      const byBytes = Buffer.compare(Buffer.from(encodeValue(a)), Buffer.from(encodeValue(b)));
      expect([a, b, Math.sign(compareValues(a, b))]).toEqual([a, b, byBytes]);
    }
});
