import { expect } from 'bun:test';
import {
  Binary,
  BSONRegExp,
  Decimal128,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
} from 'mongodb';
import { type Cases, finds, given, ids, refusal } from './subject.ts';

export const queries: Cases = {
  'null is what is null and what is missing': async ({ c }) => {
    await given(
      c,
      { a: null },
      {},
      { a: 1 },
      { a: [] },
      { a: [null] },
      { a: { b: null } },
      { a: [{ b: 1 }, {}] },
    );
    await finds(c, [
      [{ a: null }, [1, 2, 5]],
      [{ a: { $ne: null } }, [3, 4, 6, 7]],
      [{ a: { $exists: false } }, [2]],
      [{ a: { $exists: true } }, [1, 3, 4, 5, 6, 7]],
      [{ 'a.b': null }, [1, 2, 3, 6, 7]],
      [{ 'a.b': { $exists: true } }, [6, 7]],
      [{ a: { $in: [null, 1] } }, [1, 2, 3, 5]],
      [{ a: { $nin: [null, 1] } }, [4, 6, 7]],
      [{ a: { $gte: null } }, [1, 2, 5]],
      [{ a: { $gt: null } }, []],
    ]);
  },
  'only values of one kind compare': async ({ c }) => {
    await given(
      c,
      { a: 5 },
      { a: '5' },
      { a: null },
      { a: true },
      { a: new Date(5) },
      { a: [1, 9] },
      { a: { b: 1 } },
      {},
    );
    await finds(c, [
      [{ a: { $gt: 4 } }, [1, 6]],
      [{ a: { $lt: 6 } }, [1, 6]],
      [{ a: { $gte: '' } }, [2]],
      [{ a: { $lte: true } }, [4]],
      [{ a: { $gt: new Date(0) } }, [5]],
      [{ a: { $gt: {} } }, [7]],
      [{ a: { $gt: 2, $lt: 8 } }, [1, 6]],
      [{ a: { $elemMatch: { $gt: 2, $lt: 8 } } }, []],
      [{ a: { $gt: new MinKey() } }, [1, 2, 3, 4, 5, 6, 7, 8]],
      [{ a: { $lt: new MaxKey() } }, [1, 2, 3, 4, 5, 6, 7, 8]],
    ]);
  },
  'numbers are equal across their types, and exact': async ({ c }) => {
    const big = Long.fromString('9007199254740993');
    await given(
      c,
      { a: new Int32(1) },
      { a: new Double(1) },
      { a: Long.fromNumber(1) },
      { a: Decimal128.fromString('1.0') },
      { a: big },
      { a: new Double(9007199254740992) },
      { a: new Double(Number.NaN) },
      { a: new Double(0.1) },
      { a: Decimal128.fromString('0.1') },
      { a: new Double(-0) },
    );
    await finds(c, [
      [{ a: 1 }, [1, 2, 3, 4]],
      [{ a: { $in: [Long.fromNumber(1)] } }, [1, 2, 3, 4]],
      [{ a: big }, [5]],
      [{ a: { $gt: new Double(9007199254740992) } }, [5]],
      [{ a: new Double(Number.NaN) }, [7]],
      [{ a: { $lt: 5 } }, [1, 2, 3, 4, 8, 9, 10]],
      [{ a: { $gte: Number.NaN } }, [7]],
      [{ a: 0.1 }, [8]],
      [{ a: { $lt: 0.1, $gt: 0 } }, [9]],
      [{ a: 0 }, [10]],
      [{ a: { $type: 'int' } }, [1]],
      [{ a: { $type: 'double' } }, [2, 6, 7, 8, 10]],
      [{ a: { $type: ['long', 19] } }, [3, 4, 5, 9]],
      [{ a: { $type: 'number' } }, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
    ]);
  },
  'arrays are looked into, and are values themselves': async ({ c }) => {
    await given(
      c,
      { a: [1, 2, 3] },
      { a: [[1, 2], 3] },
      {
        a: [
          { b: 1, c: 2 },
          { b: 2, c: 1 },
        ],
      },
      { a: { b: [1, 2] } },
      { a: [] },
      { a: 2 },
    );
    await finds(c, [
      [{ a: 2 }, [1, 6]],
      [{ a: [1, 2] }, [2]],
      [{ a: [1, 2, 3] }, [1]],
      [{ a: [] }, [5]],
      [{ 'a.1': 2 }, [1]],
      [{ 'a.0.1': 2 }, [2]],
      [{ 'a.b': 2 }, [3, 4]],
      [{ 'a.1.b': 2 }, [3]],
      [{ 'a.b': 1, 'a.c': 1 }, [3]],
      [{ a: { $elemMatch: { b: 1, c: 1 } } }, []],
      [{ a: { $elemMatch: { b: 1, c: 2 } } }, [3]],
      [{ a: { $elemMatch: { $or: [{ b: 7 }, { c: 2 }] } } }, [3]],
      [{ a: { $size: 2 } }, [2, 3]],
      [{ a: { $all: [1, 3] } }, [1]],
      [{ a: { $all: [{ $elemMatch: { b: 2 } }, { $elemMatch: { c: 2 } }] } }, [3]],
      [{ a: { $all: [] } }, []],
      [{ a: { $ne: 2 } }, [2, 3, 4, 5]],
      [{ a: { $not: { $gt: 2 } } }, [3, 4, 5, 6]],
      [{ a: { $type: 'array' } }, [1, 2, 3, 5]],
      [{ a: { b: [1, 2] } }, [4]],
    ]);
  },
  'logic, expressions, arithmetic and bits': async ({ c }) => {
    await given(c, { a: 1, b: 2 }, { a: 2, b: 1 }, { a: 7, b: 7 }, { a: -7 });
    await finds(c, [
      [{ $or: [{ a: 1 }, { b: 1 }] }, [1, 2]],
      [{ $nor: [{ a: 1 }, { b: 1 }] }, [3, 4]],
      [{ $and: [{ a: { $gt: 0 } }, { b: { $gt: 1 } }] }, [1, 3]],
      // What is missing is below everything in an expression.
      [{ $expr: { $gt: ['$a', '$b'] } }, [2, 4]],
      [{ $expr: { $eq: ['$a', '$b'] }, $comment: 'equal' }, [3]],
      [{ a: { $mod: [3, 1] } }, [1, 3]],
      [{ a: { $mod: [3, -1] } }, [4]],
      [{ a: { $bitsAllSet: 3 } }, [3]],
      [{ a: { $bitsAnySet: [1] } }, [2, 3]],
      [{ a: { $bitsAllClear: [0] } }, [2]],
    ]);
  },
  'regular expressions': async ({ c }) => {
    await given(c, { a: 'one' }, { a: 'Two\nlines' }, { a: ['x', 'one more'] }, { a: 1 }, { a: /one/ });
    await finds(c, [
      [{ a: /^one/ }, [1, 3]],
      [{ a: { $regex: 'ONE', $options: 'i' } }, [1, 3]],
      [{ a: { $regex: '^lines', $options: 'm' } }, [2]],
      [{ a: { $regex: 'two.lines', $options: 'is' } }, [2]],
      [{ a: { $not: /one/ } }, [2, 4]],
      [{ a: { $in: [/^Two/, 1] } }, [2, 4]],
      [{ a: new BSONRegExp('one', '') }, [1, 3, 5]],
    ]);
  },
  'every type has its place in the order': async ({ c }) => {
    const values = [
      new MinKey(),
      null,
      new Double(Number.NaN),
      new Double(Number.NEGATIVE_INFINITY),
      new Int32(-1),
      new Double(-0.5),
      Long.fromNumber(0),
      Decimal128.fromString('0.1'),
      new Double(0.1),
      Long.fromString('9007199254740992'),
      Long.fromString('9007199254740993'),
      new Double(1e300),
      '',
      'A',
      'a',
      'a\0',
      'aa',
      'é',
      '\u{ffff}',
      '\u{10000}',
      {},
      { a: 1 },
      { a: 1, b: 1 },
      { a: 2 },
      { b: 0 },
      new Binary(Buffer.from([1])),
      new Binary(Buffer.from([2])),
      new Binary(Buffer.from([0, 0])),
      new ObjectId('000000000000000000000001'),
      new ObjectId('0000000000000000000000ff'),
      false,
      true,
      new Date(-1),
      new Date(0),
      new Timestamp({ t: 1, i: 1 }),
      new BSONRegExp('a', ''),
      new BSONRegExp('b', 'i'),
      new MaxKey(),
    ];
    // The array keeps an index from telling the order of single values: once without, once with one.
    await c.insertMany(values.map((a, _id) => ({ _id, a }) as never).reverse());
    const expected = values.map((_, i) => i);
    expect(ids(await c.find().sort({ a: 1 }).toArray())).toEqual(expected);
    await c.createIndex({ a: 1 });
    expect(ids(await c.find().sort({ a: 1 }).toArray())).toEqual(expected);
    expect(ids(await c.find().sort({ a: -1 }).toArray())).toEqual([...expected].reverse());
    for (const [i, a] of values.entries()) {
      if (a !== null && !(a instanceof BSONRegExp))
        expect([i, ids(await c.find({ a } as never).toArray())]).toEqual([i, [i]]);
    }
  },
  'an array sorts by its lowest element upwards, by its highest downwards': async ({ c }) => {
    await given(c, { a: [3, 9] }, { a: 5 }, { a: [1, 4] }, {}, { a: [] });
    expect(
      ids(
        await c
          .find({ a: { $type: 'number' } })
          .sort({ a: 1 })
          .toArray(),
      ),
    ).toEqual([3, 1, 2]);
    expect(
      ids(
        await c
          .find({ a: { $type: 'number' } })
          .sort({ a: -1 })
          .toArray(),
      ),
    ).toEqual([1, 2, 3]);
    expect(ids(await c.find().sort({ a: 1, _id: 1 }).toArray())).toEqual([5, 4, 3, 1, 2]);
    expect(ids(await c.find().sort({ 'b.c': 1, _id: -1 }).limit(2).toArray())).toEqual([5, 4]);
  },
  'sort, skip and limit': async ({ c }) => {
    await given(c, ...Array.from({ length: 30 }, (_, i) => ({ a: i % 3, b: i })));
    expect(ids(await c.find().sort({ a: -1, b: 1 }).skip(2).limit(3).toArray())).toEqual([9, 12, 15]);
    expect(ids(await c.find({ a: 1 }).sort({ b: -1 }).limit(2).toArray())).toEqual([29, 26]);
    expect(await c.countDocuments({ a: 0 })).toBe(10);
    expect(await c.countDocuments({ a: 0 }, { skip: 2, limit: 5 })).toBe(5);
    expect(await c.estimatedDocumentCount()).toBe(30);
    expect(await c.distinct('a')).toEqual([0, 1, 2]);
    expect(await c.distinct('b', { a: 2, b: { $lt: 9 } })).toEqual([2, 5, 8]);
  },
  'distinct looks into arrays': async ({ c }) => {
    await given(c, { a: [1, 2] }, { a: 2 }, { a: { b: 1 } }, { a: null }, {}, { a: [[3]] });
    expect(await c.distinct('a')).toEqual([null, 1, 2, { b: 1 }, [3]]);
    expect(await c.distinct('a.b')).toEqual([1]);
  },
  'projections show, leave out, cut and compute': async ({ c }) => {
    await c.insertOne({
      _id: 1,
      a: 1,
      b: { c: 2, d: [{ e: 3, f: 4 }, { e: 5 }, 6] },
      n: [1, 2, 3, 4],
    } as never);
    const shown = async (projection: object, filter: object = {}) => await c.findOne(filter, { projection });
    expect(await shown({ a: 1 })).toEqual({ _id: 1, a: 1 } as never);
    expect(await shown({ a: 1, _id: 0 })).toEqual({ a: 1 } as never);
    expect(await shown({ _id: 1 })).toEqual({ _id: 1 } as never);
    expect(await shown({ _id: 0, n: 0 })).toEqual({
      a: 1,
      b: { c: 2, d: [{ e: 3, f: 4 }, { e: 5 }, 6] },
    } as never);
    expect(await shown({ 'b.c': 1, 'b.d.e': 1 })).toEqual({
      _id: 1,
      b: { c: 2, d: [{ e: 3 }, { e: 5 }] },
    } as never);
    expect(await shown({ b: { c: 1 } })).toEqual({ _id: 1, b: { c: 2 } } as never);
    expect(await shown({ 'b.d.e': 0, n: 0, a: 0 })).toEqual({
      _id: 1,
      b: { c: 2, d: [{ f: 4 }, {}, 6] },
    } as never);
    expect(await shown({ n: { $slice: 2 }, b: 0 })).toEqual({ _id: 1, a: 1, n: [1, 2] } as never);
    expect(await shown({ a: 1, n: { $slice: -1 } })).toEqual({ _id: 1, a: 1, n: [4] } as never);
    expect(await shown({ _id: 0, a: 1, n: { $slice: [1, 2] } })).toEqual({ a: 1, n: [2, 3] } as never);
    expect(await shown({ n: { $elemMatch: { $gt: 2 } } })).toEqual({ _id: 1, n: [3] } as never);
    expect(await shown({ a: 1, n: { $elemMatch: { $gt: 9 } } })).toEqual({ _id: 1, a: 1 } as never);
    expect(await shown({ 'n.$': 1 }, { n: { $gt: 2 } })).toEqual({ _id: 1, n: [3] } as never);
    expect(await shown({ missing: 1 })).toEqual({ _id: 1 } as never);
    expect(await shown({ sum: { $add: ['$a', '$b.c'] } })).toEqual({ _id: 1, sum: 3 } as never);
    expect((await refusal(shown({ a: 1, n: 0 }))).code).toBe(31254);
    expect((await refusal(shown({ n: 0, a: 1 }))).code).toBe(31253);
  },
  'an operator that is not known is refused': async ({ c, db }) => {
    await given(c, { a: 1 });
    const asked = async (filter: object) => {
      const { code, message } = await refusal(c.findOne(filter));
      return [code, message];
    };
    expect(await asked({ a: { $nope: 1 } })).toEqual([2, 'unknown operator: $nope']);
    expect(await asked({ $nope: 1 })).toEqual([
      2,
      expect.stringContaining('unknown top level operator: $nope'),
    ]);
    expect(await asked({ a: { $in: 1 } })).toEqual([2, '$in needs an array']);
    expect(await asked({ $or: [] })).toEqual([2, '$or must be a nonempty array']);
    expect(await asked({ a: { $not: 1 } })).toEqual([2, '$not needs a regex or a document']);
    expect((await refusal(c.findOne({ a: { $regex: '(' } }))).code).toBeGreaterThan(0);
    expect((await refusal(db.command({ find: 'c', sort: { a: 3 } }))).code).toBe(2);
    expect((await refusal(c.deleteMany({ a: { $nope: 1 } }))).code).toBe(2);
    expect((await refusal(c.updateMany({ a: { $nope: 1 } }, { $set: { a: 1 } }))).code).toBe(2);
    expect((await refusal(c.findOneAndDelete({ a: { $nope: 1 } }))).code).toBe(2);
    expect((await refusal(db.collection('nothing').countDocuments({ a: { $nope: 1 } }))).code).toBe(2);
    expect((await refusal(c.distinct('a', { a: { $nope: 1 } }))).code).toBe(2);
    expect(await c.countDocuments()).toBe(1);
  },
};
