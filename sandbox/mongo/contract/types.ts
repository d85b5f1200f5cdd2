import { expect } from 'bun:test';
import {
  Binary,
  BSONRegExp,
  Code,
  Decimal128,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  serialize,
  Timestamp,
} from 'bson';
import type { Cases } from './subject.ts';
import { commandBytes } from './wire_client.ts';

/** Keys that look like numbers, out of their order: a Map keeps them as they are where an object would not. */
const numeric = new Map<string, unknown>([
  ['10', 'a'],
  ['9', 'b'],
  [
    'b',
    new Map([
      ['2', 1],
      ['1', 2],
    ]),
  ],
  ['1', 'c'],
]);

const everything = new Map<string, unknown>([
  ['_id', new ObjectId()],
  ['int', new Int32(1)],
  ['long', Long.fromNumber(1)],
  ['double', new Double(1)],
  ['negative zero', new Double(-0)],
  ['nan', new Double(Number.NaN)],
  ['infinity', new Double(Number.POSITIVE_INFINITY)],
  ['beyond', Long.fromString('9007199254740993')],
  ['decimal', Decimal128.fromString('1.10')],
  ['text', 'grüße \0 \u{1f600}'],
  ['empty', ''],
  ['', 'a field without a name'],
  ['date', new Date(-1)],
  ['binary', new Binary(Buffer.from([0, 255]), 0x80)],
  ['uuid', new Binary(Buffer.alloc(16, 7), 4)],
  ['regex', new BSONRegExp('^a', 'im')],
  ['timestamp', new Timestamp({ t: 1, i: 2 })],
  ['code', new Code('x', { y: 1 })],
  ['min', new MinKey()],
  ['max', new MaxKey()],
  ['yes', true],
  ['null', null],
  [
    'list',
    [
      new Double(1),
      [],
      [
        new Map([
          ['z', 1],
          ['a', 2],
        ]),
      ],
      null,
    ],
  ],
  ['z', 1],
  ['a', 1],
  ['links', numeric],
]);

const fields = (entries: [string, unknown][]) => serialize(new Map(entries));

export const types: Cases = {
  'every type comes back byte for byte, and every key in its place': async ({ uri, db }) => {
    const $db: [string, unknown] = ['$db', db.databaseName];
    const stored = Buffer.from(serialize(everything));
    await commandBytes(uri, fields([['insert', 'c'], ['documents', [everything]], $db]));
    const read = async (extra: [string, unknown][] = []) =>
      firstOf(await commandBytes(uri, fields([['find', 'c'], ...extra, $db])));
    expect((await read()).equals(stored)).toBe(true);
    expect((await read([['projection', { nothing: 0 }]])).equals(stored)).toBe(true);
    expect(
      (
        await read([
          ['sort', { int: 1 }],
          ['filter', { 'links.9': 'b' }],
        ])
      ).equals(stored),
    ).toBe(true);
    const aggregated = await commandBytes(
      uri,
      fields([['aggregate', 'c'], ['pipeline', [{ $sort: { z: 1 } }, { $skip: 0 }]], ['cursor', {}], $db]),
    );
    expect(firstOf(aggregated).equals(stored)).toBe(true);
  },
  'an update changes nothing but what it names': async ({ uri, db }) => {
    const $db: [string, unknown] = ['$db', db.databaseName];
    await commandBytes(uri, fields([['insert', 'c'], ['documents', [everything]], $db]));
    const update = new Map<string, unknown>([
      [
        '$set',
        new Map<string, unknown>([
          ['links.9', 'new'],
          ['later', numeric],
        ]),
      ],
    ]);
    await commandBytes(uri, fields([['update', 'c'], ['updates', [{ q: {}, u: update }]], $db]));
    const links = new Map(numeric).set('9', 'new');
    const expected = Buffer.from(serialize(new Map(everything).set('links', links).set('later', numeric)));
    expect(firstOf(await commandBytes(uri, fields([['find', 'c'], $db]))).equals(expected)).toBe(true);
    const replacement = new Map<string, unknown>([
      ['x', numeric],
      ['_id', everything.get('_id')],
    ]);
    await commandBytes(uri, fields([['update', 'c'], ['updates', [{ q: {}, u: replacement }]], $db]));
    const replaced = Buffer.from(
      serialize(
        new Map<string, unknown>([
          ['_id', everything.get('_id')],
          ['x', numeric],
        ]),
      ),
    );
    expect(firstOf(await commandBytes(uri, fields([['find', 'c'], $db]))).equals(replaced)).toBe(true);
  },
  'a new document has its _id first': async ({ uri, db, c }) => {
    const document = new Map<string, unknown>([
      ['b', 1],
      ['_id', 5],
      ['a', 1],
    ]);
    await commandBytes(
      uri,
      fields([
        ['insert', 'c'],
        ['documents', [document, new Map([['x', 1]])]],
        ['$db', db.databaseName],
      ]),
    );
    const found = await c.find().sort({ b: -1 }).toArray();
    expect(found.map((one) => Object.keys(one))).toEqual([
      ['_id', 'b', 'a'],
      ['_id', 'x'],
    ]);
    expect(found[1]?._id).toBeInstanceOf(Object);
  },
};

/** The first document of `cursor.firstBatch`, as it lies in the answer. */
function firstOf(answer: Buffer): Buffer {
  const at = answer.indexOf('firstBatch\0');
  const from = at + 'firstBatch\0'.length + 4 + 3;
  return answer.subarray(from, from + answer.readInt32LE(from));
}
