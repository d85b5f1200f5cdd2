import { expect } from 'bun:test';
import { deserialize, serialize, UUID } from 'bson';
import { type Document, GridFSBucket, Long } from 'mongodb';
import { type Cases, given, ids, refusal } from './subject.ts';
import { command, exchange } from './wire_client.ts';

export const commands: Cases = {
  'a cursor is read batch by batch, and gone at its end': async ({ c, db, client }) => {
    await given(c, ...Array.from({ length: 250 }, () => ({})));
    const first = await db.command({ find: 'c', batchSize: 100 });
    expect(first.cursor.firstBatch).toHaveLength(100);
    expect(first.cursor.ns).toBe(`${db.databaseName}.c`);
    const more = (extra: object = {}) => db.command({ getMore: first.cursor.id, collection: 'c', ...extra });
    expect((await more({ batchSize: 50 })).cursor.nextBatch).toHaveLength(50);
    const last = await more();
    expect([last.cursor.nextBatch.length, Number(last.cursor.id)]).toEqual([100, 0]);
    expect(await refusal(more())).toMatchObject({
      code: 43,
      message: expect.stringMatching(/^cursor id \d+ not found/),
    });
    const unlimited = await db.command({ find: 'c' });
    expect(unlimited.cursor.firstBatch).toHaveLength(101);
    const killed = await db.command({
      killCursors: 'c',
      cursors: [unlimited.cursor.id, Long.fromNumber(77)],
    });
    expect([killed.cursorsKilled.map(String), killed.cursorsNotFound.map(String)]).toEqual([
      [String(unlimited.cursor.id)],
      ['77'],
    ]);
    expect((await refusal(db.command({ getMore: unlimited.cursor.id, collection: 'c' }))).code).toBe(43);
    const open = await db.command({ find: 'c', batchSize: 0 });
    expect([open.cursor.firstBatch.length, Number(open.cursor.id) === 0]).toEqual([0, false]);
    expect(
      (await refusal(client.db('another').command({ getMore: open.cursor.id, collection: 'c' }))).code,
    ).toBe(13);
    await c.drop();
    expect((await refusal(db.command({ getMore: open.cursor.id, collection: 'c' }))).code).toBeGreaterThan(0);
  },
  'limits and single batches close the cursor': async ({ c, db }) => {
    await given(c, ...Array.from({ length: 250 }, () => ({})));
    const asked = async (options: object) => {
      const { cursor } = await db.command({ find: 'c', ...options });
      return [cursor.firstBatch.length, Number(cursor.id) === 0];
    };
    expect(await asked({ limit: 5 })).toEqual([5, true]);
    expect(await asked({ limit: 5, batchSize: 5 })).toEqual([5, true]);
    expect(await asked({ limit: 5, batchSize: 3 })).toEqual([3, false]);
    expect(await asked({ batchSize: 7, singleBatch: true })).toEqual([7, true]);
    expect(await asked({ limit: 300, batchSize: 300 })).toEqual([250, true]);
    expect(await asked({ filter: { _id: 1 } })).toEqual([1, true]);
    expect(await c.find().limit(120).toArray()).toHaveLength(120);
    expect(await c.find().limit(-20).toArray()).toHaveLength(20);
    expect(await c.find().batchSize(2).limit(7).toArray()).toHaveLength(7);
    expect(await c.aggregate([{ $match: {} }], { batchSize: 10 }).toArray()).toHaveLength(250);
    expect((await refusal(db.command({ find: 'c', skip: -1 }))).code).toBeGreaterThan(0);
  },
  'a batch ends before it is too large to send': async ({ c }) => {
    const text = 'x'.repeat(5 * 1024 * 1024);
    for (let _id = 0; _id < 5; _id++) await c.insertOne({ _id, text } as never);
    expect(ids(await c.find().toArray())).toEqual([0, 1, 2, 3, 4]);
  },
  'a document beyond 16 MiB is refused, one just below is kept': async ({ c }) => {
    const text = 'x'.repeat(16 * 1024 * 1024 - 100);
    await c.insertOne({ _id: 1, text } as never);
    expect((await c.findOne({ _id: 1 } as never))?.text).toHaveLength(text.length);
    expect((await refusal(c.updateOne({}, { $set: { more: 'x'.repeat(200) } }))).code).toBeGreaterThan(0);
    expect(await c.countDocuments({ more: { $exists: true } })).toBe(0);
  },
  'a command that is not known is refused': async ({ db }) => {
    expect(await refusal(db.command({ nope: 1 }))).toMatchObject({
      code: 59,
      message: "no such command: 'nope'",
    });
    expect(await refusal(db.command({ toString: 1 }))).toMatchObject({ code: 59 });
    expect(await refusal(db.command({ mapReduce: 'c', map: 'x' }))).toBeTruthy();
  },
  'the server says what it is': async ({ client, uri }) => {
    const admin = client.db('admin');
    const hello = await admin.command({ hello: 1 });
    expect(hello).toMatchObject({
      isWritablePrimary: true,
      maxBsonObjectSize: 16777216,
      maxWriteBatchSize: 100000,
      ok: 1,
    });
    expect(hello.maxWireVersion).toBeGreaterThanOrEqual(9);
    expect(await admin.command({ ping: 1 })).toMatchObject({ ok: 1 });
    expect((await admin.command({ buildInfo: 1 })).version).toMatch(/^\d+\.\d+\.\d+$/);
    const query = Buffer.concat([
      Buffer.alloc(4),
      Buffer.from('admin.$cmd\0'),
      Buffer.from([0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
      serialize({ isMaster: 1, helloOk: true }),
    ]);
    const { opcode, body } = await exchange(uri, 2004, query);
    expect(opcode).toBe(1);
    expect(body.readInt32LE(16)).toBe(1);
    expect(deserialize(body.subarray(20))).toMatchObject({ ismaster: true, helloOk: true, ok: 1 });
  },
  'collections and databases come and go': async ({ client, db, c }) => {
    const names = async () => (await db.listCollections().toArray()).map(({ name }) => name).sort();
    expect(await names()).toEqual([]);
    await db.createCollection('made');
    await c.insertOne({});
    expect(await names()).toEqual(['c', 'made']);
    expect(await db.listCollections({ name: 'c' }, { nameOnly: true }).toArray()).toEqual([
      { name: 'c', type: 'collection' },
    ]);
    expect((await refusal(db.createCollection('c'))).code).toBe(48);
    const listed = await client.db().admin().listDatabases({ nameOnly: true });
    expect(listed.databases.map(({ name }) => name)).toContain(db.databaseName);
    await c.rename('moved');
    expect(await names()).toEqual(['made', 'moved']);
    expect(await db.collection('moved').countDocuments()).toBe(1);
    expect((await refusal(db.collection('moved').rename('made'))).code).toBe(48);
    await db.collection('moved').rename('made', { dropTarget: true });
    expect(await names()).toEqual(['made']);
    expect((await refusal(db.collection('nothing').rename('x'))).code).toBe(26);
    expect(await db.collection('made').drop()).toBe(true);
    await c.insertOne({});
    await db.dropDatabase();
    expect(await names()).toEqual([]);
    expect((await client.db().admin().listDatabases()).databases.map(({ name }) => name)).not.toContain(
      db.databaseName,
    );
    expect(await c.find().toArray()).toEqual([]);
    expect(await c.countDocuments()).toBe(0);
  },
  'what has a wrong type is refused': async ({ db, c }) => {
    await given(c, { a: 1 });
    const wrong: Document[] = [
      { find: 'c', filter: 5 },
      { find: 'c', sort: 5 },
      { find: 'c', projection: 5 },
      { find: 'c', limit: 'x' },
      { insert: 'c', documents: [5] },
      { update: 'c', updates: 5 },
      { delete: 'c', deletes: [5] },
      { count: 'c', query: 5 },
      { distinct: 'c', key: 5 },
      { aggregate: 'c', pipeline: 5, cursor: {} },
      { findAndModify: 'c', query: 5, update: { $set: { a: 1 } } },
      { killCursors: 'c', cursors: 5 },
      { getMore: 'x', collection: 'c' },
      { createIndexes: 'c', indexes: 5 },
    ];
    for (const asked of wrong) expect([asked, (await refusal(db.command(asked))).code]).toEqual([asked, 14]);
    expect((await refusal(db.collection('nothing').updateOne({}, { $nope: { a: 1 } }))).code).toBe(9);
    expect(await c.findOne({})).toEqual({ _id: 1, a: 1 } as never);
  },
  'a name that cannot be is refused': async ({ db }) => {
    expect((await refusal(db.command({ insert: '', documents: [{}] }))).code).toBe(73);
    expect((await refusal(db.command({ find: 1 }))).code).toBe(73);
  },
  'files are kept in GridFS': async ({ db }) => {
    const bucket = new GridFSBucket(db, { bucketName: 'files', chunkSizeBytes: 1000 });
    const content = Buffer.from(Array.from({ length: 5555 }, (_, i) => i % 256));
    const upload = bucket.openUploadStream('a.bin', { metadata: { of: 1 } });
    upload.end(content);
    await new Promise((done, fail) => upload.once('finish', done).once('error', fail));
    const [file] = await bucket.find({ 'metadata.of': 1 }).toArray();
    expect(file).toMatchObject({ filename: 'a.bin', length: 5555, chunkSize: 1000 });
    const read = async () =>
      Buffer.concat(await Array.fromAsync(bucket.openDownloadStream(upload.id) as AsyncIterable<Buffer>));
    expect((await read()).equals(content)).toBe(true);
    expect(await db.collection('files.chunks').countDocuments()).toBe(6);
    await bucket.delete(upload.id);
    expect(await db.collection('files.chunks').countDocuments()).toBe(0);
    await expect(read()).rejects.toThrow('FileNotFound');
  },
  'sessions are accepted': async ({ client, c }) => {
    await client.withSession(async (session) => {
      await c.insertOne({ a: 1 }, { session });
      expect(await c.find({}, { session }).toArray()).toHaveLength(1);
    });
    expect(await c.countDocuments()).toBe(1);
  },
  'a transaction is refused as a server without replicas refuses it': async ({ uri, db, c }) => {
    const answer = await command(uri, [
      ['insert', 'c'],
      ['documents', [{ a: 1 }]],
      ['lsid', { id: new UUID() }],
      ['txnNumber', Long.fromNumber(1)],
      ['startTransaction', true],
      ['autocommit', false],
      ['$db', db.databaseName],
    ]);
    expect([Number(answer.code), answer.errmsg]).toEqual([
      20,
      'Transaction numbers are only allowed on a replica set member or mongos',
    ]);
    expect(await c.countDocuments()).toBe(0);
  },
  'a write that nobody waits for is done': async ({ c }) => {
    const unacknowledged = await c.insertOne({ _id: 1 } as never, { writeConcern: { w: 0 } });
    expect(unacknowledged.acknowledged).toBe(false);
    for (let i = 0; i < 100 && (await c.countDocuments()) === 0; i++) await Bun.sleep(10);
    expect(await c.countDocuments()).toBe(1);
  },
  'many at once, on many connections': async ({ c }) => {
    await given(c, ...Array.from({ length: 50 }, () => ({ state: 'READY' })));
    const taken = await Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        c.findOneAndUpdate({ state: 'READY' }, { $set: { state: 'RUNNING', by: i } }),
      ),
    );
    const got = taken.flatMap((document) => document?._id ?? []);
    expect([got.length, new Set(got.map(String)).size]).toEqual([50, 50]);
    await Promise.all(
      Array.from({ length: 100 }, () => c.updateOne({ _id: 1 } as never, { $inc: { n: 1 } })),
    );
    expect((await c.findOne({ _id: 1 } as never))?.n).toBe(100);
  },
  'explain tells an index from a scan': async ({ c, db }) => {
    await given(c, ...Array.from({ length: 20 }, (_, i) => ({ a: i, b: i })));
    await c.createIndex({ a: 1 });
    const scan = await c.find({ b: 3 }).explain('executionStats');
    expect(scan.executionStats).toMatchObject({ nReturned: 1, totalDocsExamined: 20, totalKeysExamined: 0 });
    expect(JSON.stringify(scan.queryPlanner.winningPlan)).toContain('COLLSCAN');
    const index = await c.find({ a: 3 }).explain('executionStats');
    expect(index.executionStats).toMatchObject({ nReturned: 1, totalDocsExamined: 1, totalKeysExamined: 1 });
    expect(index.queryPlanner.winningPlan).toMatchObject({
      stage: 'FETCH',
      inputStage: { stage: 'IXSCAN', indexName: 'a_1', keyPattern: { a: 1 } },
    });
    const status = await db.admin().serverStatus();
    expect(Number(status.metrics.queryExecutor.scannedObjects)).toBeGreaterThan(0);
    expect(Number(status.opcounters.query)).toBeGreaterThan(0);
  },
};
