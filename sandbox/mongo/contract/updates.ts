import { expect } from 'bun:test';
import { deserialize, serialize } from 'bson';
import { Decimal128, type Document, Double, Int32, Long, Timestamp, type UpdateFilter } from 'mongodb';
import { becomes, type Cases, given, ids, refusal } from './subject.ts';

/** The stored document with its number types. */
const typed = (document: Document) => deserialize(serialize(document), { promoteValues: false });

export const updates: Cases = {
  'fields are set, unset, renamed': async ({ c }) => {
    await becomes(c, [
      [{ a: 1 }, { $set: { b: 2, 'c.d': 3 } }, { a: 1, b: 2, c: { d: 3 } }],
      [{ a: { x: 1, y: 2 } }, { $set: { 'a.x': 5 } }, { a: { x: 5, y: 2 } }],
      [{ a: [1, 2] }, { $set: { 'a.1': 5, 'a.4': 6 } }, { a: [1, 5, null, null, 6] }],
      [{ a: [{ b: 1 }] }, { $set: { 'a.0.b': 2 } }, { a: [{ b: 2 }] }],
      [{ a: 1, b: { c: 1, d: 2 } }, { $unset: { a: '', 'b.c': true, 'x.y': 1 } }, { b: { d: 2 } }],
      [{ a: [1, 2, 3] }, { $unset: { 'a.1': 1 } }, { a: [1, null, 3] }],
      [{ a: 1, b: 2 }, { $rename: { a: 'c.d', x: 'y' } }, { b: 2, c: { d: 1 } }],
      [{ a: { b: 1 } }, { $rename: { 'a.b': 'a.c' } }, { a: { c: 1 } }],
      [{ a: 1 }, { $setOnInsert: { b: 1 }, $set: { c: 1 } }, { a: 1, c: 1 }],
      [{ a: null }, { $set: { a: { b: null } } }, { a: { b: null } }],
    ]);
  },
  'numbers keep their types': async ({ c }) => {
    const results: [before: unknown, update: Document, after: unknown][] = [
      [new Int32(1), { $inc: { a: new Int32(2) } }, new Int32(3)],
      [new Int32(2147483647), { $inc: { a: new Int32(1) } }, Long.fromNumber(2147483648)],
      [new Int32(1), { $inc: { a: new Double(2) } }, new Double(3)],
      [new Double(1), { $inc: { a: new Int32(2) } }, new Double(3)],
      [new Int32(1), { $inc: { a: Long.fromNumber(2) } }, Long.fromNumber(3)],
      [
        Long.fromString('9007199254740993'),
        { $inc: { a: new Int32(1) } },
        Long.fromString('9007199254740994'),
      ],
      [new Int32(65536), { $mul: { a: new Int32(65536) } }, Long.fromString('4294967296')],
      [new Double(1.5), { $mul: { a: new Int32(2) } }, new Double(3)],
      [new Int32(5), { $min: { a: new Double(5) } }, new Int32(5)],
      [new Int32(5), { $max: { a: new Double(6) } }, new Double(6)],
      [new Int32(6), { $bit: { a: { and: new Int32(3), or: new Int32(8) } } }, new Int32(10)],
      [new Double(1), { $set: { b: 1 } }, new Double(1)],
      [
        Decimal128.fromString('0.1'),
        { $inc: { a: Decimal128.fromString('0.2') } },
        Decimal128.fromString('0.3'),
      ],
      [Decimal128.fromString('1.5'), { $mul: { a: new Int32(3) } }, Decimal128.fromString('4.5')],
    ];
    for (const [before, update, after] of results) {
      await c.deleteMany({});
      await c.insertOne({ a: before } as Document);
      await c.updateOne({}, update as UpdateFilter<Document>);
      const found = await c.findOne({}, { promoteValues: false, promoteLongs: false });
      expect([update, found?.a]).toEqual([update, typed({ a: after }).a]);
    }
    await c.deleteMany({});
    await c.insertOne({});
    await c.updateOne({}, { $inc: { i: new Int32(1), d: new Double(1) }, $mul: { m: new Double(7) } });
    const found = await c.findOne({}, { promoteValues: false, projection: { _id: 0 } });
    expect<unknown>(found).toEqual(typed({ i: new Int32(1), d: new Double(1), m: new Double(0) }));
    await c.updateOne({}, { $inc: { d: new Double(Number.NaN) } });
    expect((await c.findOne({}))?.d).toBeNaN();
    await c.updateOne({}, { $set: { i: Long.MAX_VALUE } });
    expect((await refusal(c.updateOne({}, { $inc: { i: new Int32(1) } }))).code).toBe(2);
  },
  'lowest, highest, and the date': async ({ c }) => {
    await becomes(c, [
      [{ a: 5 }, { $min: { a: 3, b: 1 } }, { a: 3, b: 1 }],
      [{ a: 5 }, { $max: { a: 3 } }, { a: 5 }],
      [{ a: 5 }, { $max: { a: 'text is above numbers' } }, { a: 'text is above numbers' }],
    ]);
    await c.updateOne({}, { $currentDate: { d: true, t: { $type: 'timestamp' } } as Document });
    const found = await c.findOne({});
    expect(found?.d).toBeInstanceOf(Date);
    expect(Math.abs(Number(found?.d) - Date.now())).toBeLessThan(60_000);
    expect(found?.t).toBeInstanceOf(Timestamp);
  },
  'arrays grow and shrink': async ({ c }) => {
    await becomes(c, [
      [{}, { $push: { a: 1 } }, { a: [1] }],
      [{ a: [1] }, { $push: { a: [2, 3] } }, { a: [1, [2, 3]] }],
      [{ a: [1] }, { $push: { a: { $each: [2, 3] } } }, { a: [1, 2, 3] }],
      [{ a: [1, 2] }, { $push: { a: { $each: [9], $position: 0 } } }, { a: [9, 1, 2] }],
      [{ a: [1, 2] }, { $push: { a: { $each: [9], $position: -1 } } }, { a: [1, 9, 2] }],
      [{ a: [1, 2] }, { $push: { a: { $each: [3, 4], $slice: -3 } } }, { a: [2, 3, 4] }],
      [{ a: [1, 2] }, { $push: { a: { $each: [3], $slice: 2 } } }, { a: [1, 2] }],
      [{ a: [1, 2] }, { $push: { a: { $each: [], $slice: 0 } } }, { a: [] }],
      [{ a: [5, 1] }, { $push: { a: { $each: [3], $sort: 1 } } }, { a: [1, 3, 5] }],
      [
        {
          a: [
            { n: 1, m: 2 },
            { n: 2, m: 1 },
          ],
        },
        { $push: { a: { $each: [{ n: 1, m: 1 }], $sort: { n: -1, m: 1 }, $slice: 2 } } },
        {
          a: [
            { n: 2, m: 1 },
            { n: 1, m: 1 },
          ],
        },
      ],
      [{ a: [1] }, { $addToSet: { a: 1 } }, { a: [1] }],
      [{ a: [1] }, { $addToSet: { a: { $each: [1, 2, 2, { b: 1 }] } } }, { a: [1, 2, { b: 1 }] }],
      [{ a: [1, 2, 3] }, { $pop: { a: 1 } }, { a: [1, 2] }],
      [{ a: [1, 2, 3] }, { $pop: { a: -1 } }, { a: [2, 3] }],
      [{ a: [1, 2, 3, 2] }, { $pull: { a: 2 } }, { a: [1, 3] }],
      [{ a: [1, 2, 3] }, { $pull: { a: { $gte: 2 } } }, { a: [1] }],
      [{ a: [{ b: 1, c: 1 }, { b: 2 }] }, { $pull: { a: { b: 1 } } }, { a: [{ b: 2 }] }],
      [{ a: ['x', 'yz'] }, { $pull: { a: /^y/ } }, { a: ['x'] }],
      [{ a: [1, 2, 3, 1] }, { $pullAll: { a: [1, 3] } }, { a: [2] }],
      [{ b: 1 }, { $pull: { a: 1 }, $pop: { c: 1 } }, { b: 1 }],
    ]);
  },
  'elements are found by their place, all, by a filter, or by the query': async ({ c }) => {
    await becomes(c, [
      [{ a: [1, 2, 3] }, { $set: { 'a.$': 9 } }, { a: [1, 9, 3] }, { filter: { a: { $gte: 2 } } }],
      [
        { a: [{ b: 1 }, { b: 2 }] },
        { $inc: { 'a.$.b': 5 } },
        { a: [{ b: 1 }, { b: 7 }] },
        { filter: { 'a.b': 2 } },
      ],
      [
        {
          a: [
            { b: 1, c: 1 },
            { b: 1, c: 2 },
          ],
        },
        { $set: { 'a.$.d': 1 } },
        {
          a: [
            { b: 1, c: 1 },
            { b: 1, c: 2, d: 1 },
          ],
        },
        { filter: { a: { $elemMatch: { b: 1, c: 2 } } } },
      ],
      [{ a: [1, 2] }, { $mul: { 'a.$[]': 2 } }, { a: [2, 4] }],
      [
        { a: [{ b: [1, 5] }, { b: [6] }] },
        { $set: { 'a.$[].b.$[x]': 0 } },
        { a: [{ b: [1, 0] }, { b: [0] }] },
        { arrayFilters: [{ x: { $gt: 4 } }] },
      ],
      [
        {
          a: [
            { k: 1, v: 1 },
            { k: 2, v: 1 },
          ],
        },
        { $set: { 'a.$[e].v': 7 } },
        {
          a: [
            { k: 1, v: 1 },
            { k: 2, v: 7 },
          ],
        },
        { arrayFilters: [{ 'e.k': 2 }] },
      ],
      [
        { state_history: [{ state: 'A' }, { state: 'B' }] },
        { $set: { 'state_history.$[].t': 1 } },
        {
          state_history: [
            { state: 'A', t: 1 },
            { state: 'B', t: 1 },
          ],
        },
      ],
    ]);
  },
  'an update is refused as a whole': async ({ c }) => {
    await given(c, { a: 1, list: [1], text: 'x' });
    const code = async (update: Document, options: Document = {}) =>
      (await refusal(c.updateOne({ _id: 1 } as never, update, options))).code;
    expect(await refusal(c.updateOne({}, { $nope: { a: 1 } }))).toMatchObject({
      code: 9,
      message: expect.stringContaining('Unknown modifier: $nope'),
    });
    expect(await code({ $set: { a: 2, 'list.x': 1 } })).toBe(28);
    expect(await code({ $set: { 'text.x': 1 } })).toBe(28);
    expect(await code({ $inc: { text: 1 } })).toBe(14);
    expect(await code({ $inc: { a: 'x' } })).toBe(14);
    expect(await code({ $push: { a: 1 } })).toBe(2);
    expect(await code({ $pop: { a: 1 } })).toBe(14);
    expect(await code({ $pop: { list: 2 } })).toBe(9);
    expect(await code({ $set: { a: 2 }, $inc: { a: 1 } })).toBe(40);
    expect(await code({ $set: { 'b.c': 2, b: 1 } })).toBe(40);
    expect(await code({ $set: { 'a.$': 2 } })).toBe(2);
    expect(await code({ $set: { 'list.$[x]': 2 } })).toBe(2);
    expect(await code({ $set: { 'list.$[]': 2 } }, { arrayFilters: [{ y: 1 }] })).toBe(9);
    expect(await code({ $set: { 'a..b': 2 } })).toBe(56);
    expect(await code({ $set: { _id: 2 } })).toBe(66);
    expect(await code({ $set: { a: 3 }, $unset: { _id: 1 } })).toBe(66);
    expect((await refusal(c.replaceOne({ a: 1 }, { _id: 7 } as never))).code).toBe(66);
    expect(await c.findOne({})).toEqual({ _id: 1, a: 1, list: [1], text: 'x' } as never);
    expect((await c.updateOne({}, { $set: { _id: 1, a: 1 } as never })).modifiedCount).toBe(0);
  },
  'an upsert makes the document from the query and the update': async ({ c }) => {
    const made = async (filter: Document, update: Document) => {
      await c.deleteMany({});
      const { upsertedId, upsertedCount, matchedCount } = await c.updateOne(filter, update, { upsert: true });
      expect([upsertedCount, matchedCount]).toEqual([1, 0]);
      const document = await c.findOne({});
      expect(document?._id).toEqual(upsertedId as never);
      const { _id, ...rest } = document as Document;
      return rest;
    };
    expect(await made({ a: 1, b: { $gt: 5 }, 'c.d': 2 }, { $set: { e: 3 }, $setOnInsert: { f: 4 } })).toEqual(
      { a: 1, c: { d: 2 }, e: 3, f: 4 },
    );
    expect(await made({ a: { $eq: 1 }, $and: [{ b: 2 }] }, { $inc: { n: 1 }, $push: { l: 1 } })).toEqual({
      a: 1,
      b: 2,
      n: 1,
      l: [1],
    });
    expect(await made({ a: { $in: [1] } }, { $setOnInsert: { b: 1 } })).toEqual({ a: 1, b: 1 });
    expect(await made({ a: 1 }, { $inc: { a: 1 } })).toEqual({ a: 2 });
    await c.deleteMany({});
    await c.updateOne({ _id: 'own' } as never, { $set: { a: 1 } }, { upsert: true });
    expect(await c.findOne({})).toEqual({ _id: 'own', a: 1 } as never);
    await c.deleteMany({});
    expect((await c.replaceOne({ _id: 5, x: 1 } as never, { a: 1 }, { upsert: true })).upsertedId).toEqual(
      5 as never,
    );
    expect(await c.findOne({})).toEqual({ _id: 5, a: 1 } as never);
    expect((await c.replaceOne({ _id: 5 } as never, { b: 1 }, { upsert: true })).modifiedCount).toBe(1);
    expect(
      (await refusal(c.updateOne({ _id: 6 } as never, { $set: { _id: 7 } as never }, { upsert: true }))).code,
    ).toBe(66);
    expect(await c.findOne({})).toEqual({ _id: 5, b: 1 } as never);
  },
  'counts tell matched from modified': async ({ c }) => {
    await given(c, { a: 1 }, { a: 1 }, { a: 2 });
    expect(await c.updateMany({}, { $set: { a: 1 } })).toMatchObject({ matchedCount: 3, modifiedCount: 1 });
    expect(await c.updateOne({ a: 9 }, { $set: { a: 1 } })).toMatchObject({
      matchedCount: 0,
      modifiedCount: 0,
    });
    expect(await c.deleteOne({ a: 1 })).toMatchObject({ deletedCount: 1 });
    expect(await c.deleteMany({ a: 1 })).toMatchObject({ deletedCount: 2 });
    expect(await c.deleteMany({})).toMatchObject({ deletedCount: 0 });
  },
  'findAndModify: the document before or after, sorted, shown in part': async ({ c }) => {
    await given(c, { n: 3, s: 'x' }, { n: 1, s: 'x' }, { n: 2, s: 'x' });
    const lowest = { sort: { n: 1 as const } };
    expect(await c.findOneAndUpdate({ s: 'x' }, { $set: { s: 'y' } }, lowest)).toEqual({
      _id: 2,
      n: 1,
      s: 'x',
    } as never);
    expect(
      await c.findOneAndUpdate({ s: 'x' }, { $set: { s: 'y' } }, { ...lowest, returnDocument: 'after' }),
    ).toEqual({ _id: 3, n: 2, s: 'y' } as never);
    expect(
      await c.findOneAndUpdate({ s: 'x' }, { $inc: { n: 1 } }, { projection: { n: 1, _id: 0 } }),
    ).toEqual({ n: 3 } as never);
    expect(await c.findOneAndUpdate({ s: 'z' }, { $set: { s: 'y' } })).toBeNull();
    expect(await c.findOneAndReplace({ _id: 1 } as never, { r: 1 }, { returnDocument: 'after' })).toEqual({
      _id: 1,
      r: 1,
    } as never);
    expect(await c.findOneAndUpdate({ _id: 9 } as never, { $set: { s: 'n' } }, { upsert: true })).toBeNull();
    expect(
      await c.findOneAndUpdate(
        { _id: 10 } as never,
        { $set: { s: 'n' } },
        { upsert: true, returnDocument: 'after' },
      ),
    ).toEqual({ _id: 10, s: 'n' } as never);
    expect(await c.findOneAndDelete({ s: { $in: ['y', 'n'] } }, { sort: { _id: -1 } })).toEqual({
      _id: 10,
      s: 'n',
    } as never);
    expect(await c.findOneAndDelete({ s: 'nobody' })).toBeNull();
    const whole = await c.findOneAndUpdate(
      { _id: 2 } as never,
      { $set: { q: 1 } },
      { includeResultMetadata: true },
    );
    expect(whole).toMatchObject({
      ok: 1,
      lastErrorObject: { n: 1, updatedExisting: true },
      value: { _id: 2 },
    });
    expect(ids(await c.find().sort({ _id: 1 }).toArray())).toEqual([1, 2, 3, 9]);
    expect((await refusal(c.findOneAndUpdate({ _id: 2 } as never, { $nope: { a: 1 } }))).code).toBe(9);
  },
};
