import { expect, test } from 'bun:test';
import { deserialize, Long, ObjectId, serialize, Timestamp } from 'bson';
import { Doc, docOf } from './document.ts';
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

test.each([3, 65, 2000])('a field of %d that was looked for and then set is the new one', (size) => {
  const document = new Doc(serialize(wide(size)));
  expect(Number(document.get('a0'))).toBe(0);
  expect(document.has('new')).toBe(false);
  document.set('new', 'there');
  expect(document.get('new')).toBe('there');
  document.set('a0', 'set');
  expect(document.get('a0')).toBe('set');
  expect(deserialize(document.bytes)).toMatchObject({ a0: 'set', new: 'there' });
});

test.each([3, 2000])('of the fields of %d some are picked in the order of the document', (size) => {
  const plain = wide(size);
  const [first, second, third] = Object.keys(plain) as [string, string, string];
  const wanted = (...keys: string[]) => new Map(keys.map((key) => [key, true]));
  const among = (...keys: string[]) => new Doc(serialize(plain)).keysAmong(wanted(...keys));
  expect(among(second, first)).toEqual([first, second]);
  expect(among(third, 'no', second, first)).toEqual([first, second, third]);
  expect(among('no')).toEqual([]);
  // Of a document that was taken apart, and of one that something was set in.
  const document = new Doc(serialize(plain));
  expect(document.size).toBe(size);
  expect(document.keysAmong(wanted(third, first))).toEqual([first, third]);
  document.set(second, 'set');
  expect(document.keysAmong(wanted(third, second, 'no', first))).toEqual([first, second, third]);
  expect(document.bytes.length).toBeGreaterThan(0);
  expect(document.keysAmong(wanted(third, second))).toEqual([second, third]);
  document.set('new', 1);
  expect(document.keysAmong(wanted('new', second))).toEqual([second, 'new']);
});

test('a wide document that is set again and again stays what a plain object is', () => {
  const plain: Record<string, unknown> = wide(300);
  const names = Object.keys(plain);
  let document = new Doc(serialize(plain));
  for (let i = 0; i < 200; i++) {
    const key = names[(i * 37) % names.length] as string;
    const value = i % 3 === 0 ? 'x'.repeat(i) : i;
    // Now and then all of it is read before.
    if (i % 7 === 0) expect([...document.entries()]).toHaveLength(names.length);
    const copy = document.copy();
    copy.set(key, value);
    // The one before it is not changed, whatever they share.
    expect(String(document.get(key))).toBe(String(plain[key]));
    plain[key] = value;
    if (i % 50 === 49) {
      copy.set(`new${i}`, i);
      plain[`new${i}`] = i;
      names.push(`new${i}`);
    }
    for (const name of [key, ...names.slice(-2), names[i] as string])
      expect(String(copy.get(name))).toBe(String(plain[name]));
    expect(copy.has('no')).toBe(false);
    document = copy;
    if (i % 20 === 0) expect(deserialize(document.bytes)).toEqual(plain);
  }
  expect(JSON.stringify(deserialize(document.bytes))).toBe(JSON.stringify(plain));
});

test('ids, dates and long integers are written as bson writes them', () => {
  const values = {
    id: new ObjectId(),
    dates: [0, -1, 2 ** 32, -(2 ** 32) - 1, 1.7e12, 8.64e15, -8.64e15].map((ms) => new Date(ms)),
    longs: ['0', '-1', '9223372036854775807', '-9223372036854775808', '4294967296'].map((n) =>
      Long.fromString(n),
    ),
    timestamp: new Timestamp({ t: 4_000_000_000, i: 3 }),
  };
  expect(docOf(values).bytes.equals(serialize(values))).toBe(true);
  const read = new Doc(serialize(values));
  expect(read.get('dates')).toEqual(values.dates);
  expect(read.get('id')).toEqual(values.id);
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

test('a document of some fields has their bytes in its own order', () => {
  const plain = { _id: 1, name: 'x'.repeat(500), a: [1, { b: 2.5 }], é: null, z: 'last', aa: 0 };
  const document = new Doc(serialize(plain));
  const only = (...names: string[]) => document.only(names.map((name) => Buffer.from(name))).bytes;
  expect(only('z', 'a', 'name')).toEqual(
    Buffer.from(serialize({ name: plain.name, a: plain.a, z: plain.z })),
  );
  expect(only('é', 'nothing')).toEqual(Buffer.from(serialize({ é: null })));
  expect(only('nothing')).toEqual(Buffer.from(serialize({})));
  expect(only(...Object.keys(plain))).toEqual(document.bytes);
});
