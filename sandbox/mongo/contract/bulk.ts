/** Updates that are pipelines, and writes to several collections in one command (MongoDB 8.0). */
import { expect } from 'bun:test';
import { type Document, MongoClientBulkWriteError } from 'mongodb';
import { becomes, type Cases, given, refusal } from './subject.ts';

const always = { $toInt: { $concat: ['no number: ', { $type: '$_id' }] } };
/** An update that is refused, as a conversion that fails, where `holds` does not hold. */
const only = (holds: Document, then: unknown) => ({ $cond: [holds, then, always] });

export const bulk: Cases = {
  'updates by a pipeline': async ({ c }) => {
    await becomes(c, [
      [
        { a: 1, b: 2 },
        [{ $set: { c: { $add: ['$a', '$b'] } } }, { $unset: 'a' }] as Document,
        { b: 2, c: 3 },
      ],
      [
        { s: { 1: 'x', 2: 'y' } },
        [{ $set: { 's.2': 'z', 't.u': '$s.1' } }] as Document,
        { s: { 1: 'x', 2: 'z' }, t: { u: 'x' } },
      ],
      [
        { a: [1] },
        [{ $set: { a: { $concatArrays: ['$a', [{ b: 2 }]] } } }] as Document,
        { a: [1, { b: 2 }] },
      ],
      [{ a: 1 }, [{ $addFields: { a: { $literal: { $b: '$a' } } } }] as Document, { a: { $b: '$a' } }],
      [{ a: { b: 1 } }, [{ $replaceWith: '$a' }] as Document, { b: 1 }],
      [{ a: 1, b: 2 }, [{ $project: { b: 1 } }] as Document, { b: 2 }],
    ]);
    const result = await c.findOneAndUpdate({ b: 2 }, [{ $set: { b: { $multiply: ['$b', 5] } } }], {
      returnDocument: 'after',
    });
    expect(result?.b).toBe(10);
    expect(
      await c.updateOne({ _id: 7 } as Document, [{ $set: { n: { $ifNull: ['$n', 0] } } }], { upsert: true }),
    ).toMatchObject({ upsertedId: 7 });
    expect(await c.findOne({ _id: 7 } as Document)).toEqual({ _id: 7, n: 0 } as never);
  },
  'what a pipeline may not do in an update': async ({ c }) => {
    await given(c, { a: 1 });
    expect((await refusal(c.updateOne({}, [{ $match: { a: 1 } }]))).code).toBe(72);
    expect((await refusal(c.updateOne({}, [{ $nope: 1 }]))).code).toBe(40324);
    expect((await refusal(c.updateOne({}, [{ $set: { _id: 5 } }]))).code).toBe(66);
    expect((await refusal(c.updateOne({}, [{ $set: { a: always } }]))).code).toBe(241);
    expect(
      (await refusal(c.updateOne({}, [{ $set: { a: 1 } }], { arrayFilters: [{ 'x.b': 1 }] }))).code,
    ).toBe(9);
    expect(await c.findOne({})).toEqual({ _id: 1, a: 1 } as never);
  },
  'bulkWrite: several collections, one command': async ({ client, db, c }) => {
    const [one, two] = [c.namespace, `${db.databaseName}.two`];
    await given(c, { a: 1 }, { a: 2 }, { a: 3 });
    const done = await client.bulkWrite<Record<string, Document>>(
      [
        { name: 'insertOne', namespace: two, document: { _id: 'x', n: 0 } as Document },
        { name: 'updateOne', namespace: one, filter: { a: 1 }, update: { $set: { b: 1 } } },
        { name: 'updateMany', namespace: one, filter: { a: { $gt: 1 } }, update: { $inc: { a: 10 } } },
        { name: 'updateOne', namespace: two, filter: { n: 5 }, update: { $set: { m: 1 } }, upsert: true },
        {
          name: 'replaceOne',
          namespace: two,
          filter: { _id: 'x' } as Document,
          replacement: { r: 1 } as Document,
        },
        { name: 'deleteOne', namespace: one, filter: { a: 12 } },
        { name: 'updateOne', namespace: one, filter: { a: 99 }, update: { $set: { b: 1 } } },
      ],
      { verboseResults: true },
    );
    expect(done).toMatchObject({
      insertedCount: 1,
      upsertedCount: 1,
      matchedCount: 4,
      modifiedCount: 4,
      deletedCount: 1,
    });
    expect(done.updateResults?.get(6)).toMatchObject({ matchedCount: 0, modifiedCount: 0 });
    expect(await c.find().sort({ _id: 1 }).toArray()).toEqual([
      { _id: 1, a: 1, b: 1 },
      { _id: 3, a: 13 },
    ] as never[]);
    expect(
      await db
        .collection('two')
        .find({}, { projection: { _id: 0 } })
        .sort({ n: 1 })
        .toArray(),
    ).toEqual([{ r: 1 }, { n: 5, m: 1 }] as never[]);
  },
  'bulkWrite: a write that fails ends it where it is ordered': async ({ client, c }) => {
    const namespace = c.namespace;
    const models = [
      { name: 'insertOne', namespace, document: { _id: 1 } as Document },
      { name: 'insertOne', namespace, document: { _id: 1 } as Document },
      { name: 'insertOne', namespace, document: { _id: 2 } as Document },
    ] as const;
    const failed = async (ordered: boolean) => {
      await c.deleteMany({});
      const thrown = await client.bulkWrite([...models], { ordered }).catch((thrown) => thrown);
      expect(thrown).toBeInstanceOf(MongoClientBulkWriteError);
      const codes = [...(thrown as MongoClientBulkWriteError).writeErrors].map(([at, { code }]) => [
        at,
        code,
      ]);
      expect(codes).toEqual([[1, 11000]]);
      return await c.countDocuments();
    };
    expect(await failed(true)).toBe(1);
    expect(await failed(false)).toBe(2);
  },
  'bulkWrite: one write on the condition of another': async ({ client, db, c }) => {
    const [one, two] = [c.namespace, `${db.databaseName}.two`];
    const link = async (state: string) => {
      await c.deleteMany({});
      await db.collection('two').deleteMany({});
      await given(c, { state });
      await given(db.collection('two'), { n: 1 });
      const answer = await client.db('admin').command({
        bulkWrite: 1,
        ops: [
          {
            update: 0,
            filter: { _id: 1 },
            updateMods: [{ $set: { state: only({ $eq: ['$state', 'RUNNING'] }, 'COMPLETED') } }],
          },
          { update: 1, filter: { n: 1 }, updateMods: { $inc: { n: 1 } } },
        ],
        nsInfo: [{ ns: one }, { ns: two }],
      });
      expect(await db.collection('two').findOne()).toMatchObject({ n: state === 'RUNNING' ? 2 : 1 });
      return answer;
    };
    expect(await link('RUNNING')).toMatchObject({
      cursor: {
        firstBatch: [
          { ok: 1, idx: 0, n: 1, nModified: 1 },
          { ok: 1, idx: 1, n: 1, nModified: 1 },
        ],
      },
      nErrors: 0,
      nMatched: 2,
      nModified: 2,
    });
    expect(await link('FIZZLED')).toMatchObject({
      ok: 1,
      cursor: { firstBatch: [{ ok: 0, idx: 0, code: 241, n: 0 }] },
      nErrors: 1,
      nMatched: 0,
    });
  },
  'bulkWrite: what is none': async ({ client, db, c }) => {
    const nsInfo = [{ ns: c.namespace }];
    const ops = [{ insert: 0, document: { a: 1 } }];
    const code = async (command: Document, where = client.db('admin')) =>
      (await refusal(where.command({ bulkWrite: 1, ops, nsInfo, ...command }))).code;
    expect(await code({}, db)).toBe(13);
    expect(await code({ ops: [] })).toBe(16);
    expect(await code({ ops: [{ insert: 1, document: {} }] })).toBe(2);
    expect(await code({ nsInfo: [{ ns: 'nodot' }] })).toBe(73);
    expect(await c.countDocuments()).toBe(0);
  },
};
