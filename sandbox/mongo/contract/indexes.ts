import { expect } from 'bun:test';
import { type Document, Long, MongoBulkWriteError } from 'mongodb';
import { type Cases, given, ids, refusal } from './subject.ts';

/** The failures of a bulk write: index and code of each. */
async function failures(work: Promise<unknown>): Promise<{ errors: [number, unknown][]; result: Document }> {
  try {
    await work;
  } catch (thrown) {
    if (!(thrown instanceof MongoBulkWriteError)) throw thrown;
    const errors = Array.isArray(thrown.writeErrors) ? thrown.writeErrors : [thrown.writeErrors];
    return { errors: errors.map(({ index, code }) => [index, code]), result: thrown.result as never };
  }
  throw new Error('nothing failed');
}

export const indexes: Cases = {
  'are made, listed and dropped': async ({ c, db }) => {
    expect(await c.createIndex({ a: 1 })).toBe('a_1');
    expect(await c.createIndex({ a: 1, b: -1 }, { unique: true, sparse: true, name: 'mine' })).toBe('mine');
    expect(await c.createIndex({ a: 1 })).toBe('a_1');
    expect(await c.indexes()).toEqual([
      { v: 2, key: { _id: 1 }, name: '_id_' },
      { v: 2, key: { a: 1 }, name: 'a_1' },
      { v: 2, key: { a: 1, b: -1 }, name: 'mine', unique: true, sparse: true },
    ]);
    expect(await c.indexExists('mine')).toBe(true);
    expect((await refusal(c.createIndex({ a: 1 }, { unique: true }))).code).toBe(86);
    expect((await refusal(c.createIndex({ z: 1 }, { name: 'mine' }))).code).toBe(86);
    await c.dropIndex('mine');
    expect((await refusal(c.dropIndex('mine'))).code).toBe(27);
    expect((await refusal(c.dropIndex('_id_'))).code).toBe(72);
    await c.createIndexes([{ key: { x: 1 } }, { key: { y: 1 } }]);
    await c.dropIndexes();
    expect((await c.indexes()).map(({ name }) => name)).toEqual(['_id_']);
    expect((await refusal(db.collection('nothing').indexes())).code).toBe(26);
    expect((await refusal(db.command({ dropIndexes: 'nothing', index: '*' }))).code).toBe(26);
  },
  'serve several values of a field, and none, in the order of another': async ({ c }) => {
    await c.createIndex({ s: 1, p: -1, t: 1 });
    const rows = Array.from({ length: 300 }, (_, i) => ({ ...(i % 4 && { s: i % 4 }), p: i % 7, t: i }));
    await c.insertMany(rows);
    const inOrder = async (filter: Document, sort: Record<string, 1 | -1>) =>
      (await c.find(filter, { sort }).toArray()).map(({ t }) => t);
    const expected = (wanted: (row: { s?: number }) => boolean) =>
      rows
        .filter(wanted)
        .sort((a, b) => b.p - a.p || a.t - b.t)
        .map(({ t }) => t);
    const sort = { p: -1, t: 1 } as const;
    const two = expected(({ s }) => s === 1 || s === 3);
    expect(await inOrder({ s: { $in: [3, 1, 3] } }, sort)).toEqual(two);
    expect(await inOrder({ s: { $in: [3, 1] } }, { p: 1, t: -1 })).toEqual(two.toReversed());
    expect(await inOrder({ s: { $exists: false } }, sort)).toEqual(expected(({ s }) => s === undefined));
    const few = await c.find({ s: { $in: [1, 2, 3] } }, { sort, limit: 5 }).explain('executionStats');
    expect(few.executionStats.totalDocsExamined).toBeLessThan(20);
  },
  'a unique one refuses the second of a key, and says which': async ({ c, db }) => {
    await c.createIndex({ a: 1 }, { unique: true });
    await given(c, { a: 1 }, { a: 'x' }, {});
    const ns = `${db.databaseName}.c`;
    const refused = await refusal(c.insertOne({ a: 1 }));
    expect(refused).toMatchObject({
      code: 11000,
      message: `E11000 duplicate key error collection: ${ns} index: a_1 dup key: { a: 1 }`,
    });
    expect(refused.more).toMatchObject({ keyPattern: { a: 1 }, keyValue: { a: 1 } });
    expect((await refusal(c.insertOne({ a: null }))).more.keyValue).toEqual({ a: null });
    expect((await refusal(c.insertOne({ _id: 1, a: 5 } as never))).more).toMatchObject({
      keyPattern: { _id: 1 },
      keyValue: { _id: 1 },
    });
    expect((await refusal(c.updateOne({ a: 'x' }, { $set: { a: 1 } }))).code).toBe(11000);
    expect((await refusal(c.findOneAndUpdate({ a: 'x' }, { $set: { a: 1 } }))).more).toMatchObject({
      code: 11000,
      keyValue: { a: 1 },
    });
    expect((await refusal(c.updateOne({ b: 1 }, { $set: { a: 1 } }, { upsert: true }))).code).toBe(11000);
    expect(await c.countDocuments()).toBe(3);
    await c.updateOne({ a: 1 }, { $set: { a: 1, b: 2 } });
    await c.deleteOne({ a: 1 });
    await c.insertOne({ a: 1 });
    expect((await refusal(c.insertOne({ a: [7, 'x'] }))).code).toBe(11000);
    await c.insertOne({ a: [7, 7] });
  },
  'a unique one cannot be made over duplicates': async ({ c }) => {
    await given(c, { a: 1 }, { a: 1 });
    expect((await refusal(c.createIndex({ a: 1 }, { unique: true }))).code).toBe(11000);
    expect(await c.indexes()).toHaveLength(1);
    await c.createIndex({ a: 1 });
    expect(ids(await c.find({ a: 1 }).toArray())).toEqual([1, 2]);
  },
  'a compound one is unique in all its fields, a sparse one leaves out what is missing': async ({
    c,
    db,
  }) => {
    await c.createIndex({ a: 1, b: -1 }, { unique: true });
    await given(c, { a: 1, b: 1 }, { a: 1, b: 2 }, { a: 2, b: 1 });
    expect((await refusal(c.insertOne({ b: 2, a: 1 }))).more.keyValue).toEqual({ a: 1, b: 2 });
    const sparse = db.collection<Document>('sparse');
    await sparse.createIndex({ a: 1 }, { unique: true, sparse: true });
    await given(sparse, {}, {}, { a: null }, { a: 1 });
    expect((await refusal(sparse.insertOne({ a: null }))).code).toBe(11000);
    expect(ids(await sparse.find({ a: null }).sort({ _id: 1 }).toArray())).toEqual([1, 2, 3]);
    expect(ids(await sparse.find().sort({ a: 1, _id: 1 }).toArray())).toEqual([1, 2, 3, 4]);
    expect(
      ids(
        await sparse
          .find({ a: { $lte: null } } as never)
          .sort({ _id: 1 })
          .toArray(),
      ),
    ).toEqual([1, 2, 3]);
  },
  'answers are the same with an index and without': async ({ c }) => {
    const values = [
      null,
      0,
      1,
      1.5,
      'a',
      'b',
      [1, 2],
      [],
      [[1]],
      { b: 1 },
      [{ b: 1 }, { b: 2 }],
      true,
      new Date(0),
      Number.NaN,
      Long.fromString('9007199254740993'),
      undefined,
    ];
    const filters: Document[] = [
      ...values.filter((value) => value !== undefined).map((a) => ({ a })),
      ...[0, 1, 'a', null].flatMap((v) => [
        { a: { $gt: v } },
        { a: { $gte: v } },
        { a: { $lt: v } },
        { a: { $lte: v } },
      ]),
      { a: { $gt: 0, $lt: 2 } },
      { a: { $gte: 0, $lte: 1.5 } },
      { a: { $gte: 'a', $lt: 'b' } },
      { a: { $gte: 0, $lt: 'b' } },
      { a: { $lte: Number.NaN } },
      { a: { $in: [1, 1, 'a'] } },
      { a: { $in: [1, Number.NaN] } },
      { a: 1, 'a.b': null },
      { $and: [{ a: { $gt: 0 } }, { a: { $lt: 1.5 } }] },
      { a: { $in: [1, 'a', null] } },
      { a: { $in: [] } },
      { a: { $ne: 1 } },
      { 'a.b': 1 },
      { 'a.b': { $gte: 1 } },
      { 'a.b': null },
      { a: { $exists: false } },
      { $or: [{ a: 1 }, { a: 'b' }] },
      { a: /a/ },
    ];
    const answers = async () => {
      const all = [];
      for (const filter of filters)
        for (const way of [1, -1] as const)
          all.push([filter, ids(await c.find(filter).sort({ a: way, _id: 1 }).toArray())]);
      return all;
    };
    const documents = values.map((a, _id) => (a === undefined ? { _id } : { _id, a }) as never);
    // With arrays among them and without: several keys of one document are another matter.
    for (const some of [documents, documents.filter(({ a }) => !Array.isArray(a))]) {
      await c.drop();
      await c.insertMany(some);
      const without = await answers();
      await c.createIndex({ a: 1 });
      await c.createIndex({ 'a.b': -1, a: 1 });
      expect(await answers()).toEqual(without);
      await c.dropIndexes();
      await c.createIndex({ a: -1 });
      expect(await answers()).toEqual(without);
    }
  },
  'what changes while a cursor is open is not shown as what it was': async ({ c }) => {
    await c.createIndex({ s: 1 });
    await c.insertMany(Array.from({ length: 12 }, (_, _id) => ({ _id, s: 'READY' })) as never[]);
    const cursor = c.find({ s: 'READY' }, { batchSize: 2 });
    const shown = [await cursor.next()];
    await c.updateMany({ _id: { $gte: 6 } } as never, { $set: { s: 'RUNNING' } });
    for await (const document of cursor) shown.push(document);
    expect(shown.map((document) => document?.s)).toEqual(Array.from({ length: 6 }, () => 'READY'));
  },
  'a bulk write goes on or stops at its first failure': async ({ c }) => {
    const operations = [
      { insertOne: { document: { _id: 1 } as never } },
      { insertOne: { document: { _id: 1 } as never } },
      { updateOne: { filter: { _id: 1 } as never, update: { $set: { a: 1 } } } },
      { deleteOne: { filter: { _id: 7 } as never } },
      { replaceOne: { filter: { _id: 8 } as never, replacement: { b: 1 }, upsert: true } },
    ];
    const ordered = await failures(c.bulkWrite(operations));
    expect(ordered.errors).toEqual([[1, 11000]]);
    expect(await c.find().toArray()).toEqual([{ _id: 1 }] as never);
    await c.deleteMany({});
    const unordered = await failures(c.bulkWrite(operations, { ordered: false }));
    expect(unordered.errors).toEqual([[1, 11000]]);
    expect(unordered.result).toMatchObject({ insertedCount: 1, matchedCount: 1, upsertedCount: 1 });
    expect(await c.find().sort({ _id: 1 }).toArray()).toEqual([
      { _id: 1, a: 1 },
      { _id: 8, b: 1 },
    ] as never);
    await c.deleteMany({});
    const twice = [1, 2, 1, 3, 2, 4].map((_id) => ({ _id }) as never);
    expect((await failures(c.insertMany(twice))).errors).toEqual([[2, 11000]]);
    expect(await c.countDocuments()).toBe(2);
    expect((await failures(c.insertMany(twice, { ordered: false }))).errors).toEqual([
      [0, 11000],
      [1, 11000],
      [2, 11000],
      [4, 11000],
    ]);
    expect(await c.countDocuments()).toBe(4);
  },
  'a failed update of many leaves what it did before': async ({ c }) => {
    await given(c, { a: 1 }, { a: 2 }, { a: 'x' }, { a: 4 });
    expect((await refusal(c.updateMany({}, { $inc: { a: 1 } }))).code).toBe(14);
    expect((await c.find().sort({ _id: 1 }).toArray()).map(({ a }) => a)).toEqual([2, 3, 'x', 4]);
  },
};
