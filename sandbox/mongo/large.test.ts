/** With 100,000 Fireworks a question looks at what it is about, not at all of them: counted by the server, not timed. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { type Collection, type Document, MongoClient } from 'mongodb';
import { type Mongo, startMongo } from './server.ts';

const FIREWORKS = 100_000;
const NODES = 10_000;
const day = (i: number) => `2026-01-01T00:00:00.${String(i).padStart(6, '0')}+00:00`;

let mongo: Mongo;
let client: MongoClient;
let fireworks: Collection<Document>;
let launches: Collection<Document>;
let workflows: Collection<Document>;

/** Every thousandth is READY, every ten-thousandth RUNNING, the others are COMPLETED. */
const firework = (i: number): Document => ({
  fw_id: i,
  state: i % 10_000 === 1 ? 'RUNNING' : i % 1000 === 0 ? 'READY' : 'COMPLETED',
  launches: [i],
  spec: i % 2000 === 0 ? { _priority: i % 7, _category: 'few' } : { _priority: i % 7 },
  created_on: day(i),
  updated_on: day(i),
});

beforeAll(async () => {
  mongo = await startMongo();
  client = new MongoClient(mongo.uri);
  const db = client.db('large');
  fireworks = db.collection('fireworks');
  launches = db.collection('launches');
  workflows = db.collection('workflows');
  for (let from = 0; from < FIREWORKS; from += 20_000)
    await fireworks.insertMany(Array.from({ length: 20_000 }, (_, i) => firework(from + i)));
  const state = { state: -1, 'spec._priority': -1 } as const;
  await fireworks.createIndexes([
    { key: { fw_id: 1 }, unique: true },
    { key: { state: 1 } },
    { key: { updated_on: 1 } },
    { key: { launches: 1 } },
    { key: { ...state, created_on: 1 } },
  ]);
  await launches.createIndexes([
    { key: { launch_id: 1 }, unique: true },
    { key: { state: 1 } },
    { key: { fw_id: 1 } },
  ]);
  await launches.insertMany(
    Array.from({ length: 5000 }, (_, i) => ({
      launch_id: i,
      fw_id: i,
      state: i % 1000 === 1 ? 'RUNNING' : 'COMPLETED',
      state_history: [{ state: 'RUNNING', updated_on: day(i) }],
    })),
  );
  const nodes = Array.from({ length: NODES }, (_, i) => i);
  const each = <T>(value: (i: number) => T) => Object.fromEntries(nodes.map((i) => [i, value(i)]));
  await workflows.createIndexes([
    { key: { nodes: 1 } },
    { key: { state: -1, _id: -1 } },
    { key: { updated_on: 1 } },
  ]);
  await workflows.insertOne({
    nodes,
    links: each((i) => [i + 1]),
    parent_links: each((i) => [i - 1]),
    fw_states: each(() => 'WAITING'),
    state: 'READY',
    updated_on: new Date(),
  });
  await workflows.insertMany(Array.from({ length: 100 }, (_, i) => ({ nodes: [NODES + i], state: 'READY' })));
}, 60_000);

afterAll(async () => {
  await client.close();
  await mongo.stop();
});

/** What the server looked at for `work`: documents and keys. */
async function looked(work: () => Promise<unknown>): Promise<{ documents: number; keys: number }> {
  const before = mongo.counters();
  await work();
  const after = mongo.counters();
  const grown = (name: string) => (after[name] ?? 0) - (before[name] ?? 0);
  return { documents: grown('docsExamined'), keys: grown('keysExamined') };
}

const worker = (name = 'w') => [
  { $or: [{ 'spec._fworker': { $exists: false } }, { 'spec._fworker': null }, { 'spec._fworker': name }] },
];

test('a Firework is claimed by looking at one', async () => {
  const claim = () =>
    fireworks.findOneAndUpdate(
      { $and: worker(), state: 'READY' },
      { $set: { state: 'RESERVED', updated_on: day(0) } },
      {
        sort: { 'spec._priority': -1, created_on: 1 },
        returnDocument: 'after',
        projection: { fw_id: 1, spec: 1 },
      },
    );
  let claimed: Document | null = null;
  expect(
    await looked(async () => {
      claimed = await claim();
    }),
  ).toEqual({ documents: 1, keys: 1 });
  expect(claimed).toMatchObject({ fw_id: 1000, spec: { _priority: 6 } });
});

test('the queries of a checkout in Python, of waiting workers and of the sweep for lost runs do not scan', async () => {
  const ready = FIREWORKS / 1000;
  const running = FIREWORKS / 10_000;
  const questions: [name: string, most: number, ask: () => Promise<unknown>][] = [
    [
      'LaunchPad._get_a_fw_to_run',
      1,
      () =>
        fireworks.findOne(
          { state: 'READY', $or: worker()[0]?.$or as Document[] },
          { sort: { 'spec._priority': -1 } },
        ),
    ],
    [
      'LaunchPad.checkout_fw',
      1,
      () => fireworks.findOneAndUpdate({ fw_id: 3000, state: 'READY' }, { $set: { state: 'RESERVED' } }),
    ],
    [
      'LaunchPad.checkout_fw, one of two states',
      1,
      () =>
        fireworks.findOneAndUpdate(
          { fw_id: 3001, state: { $in: ['READY', 'RESERVED'] } },
          { $set: { state: 'RESERVED' } },
          { sort: { 'spec._priority': -1, created_on: 1 } },
        ),
    ],
    [
      'of a rare category',
      ready,
      () =>
        fireworks.findOne(
          { $and: [...worker(), { 'spec._category': 'few' }], state: 'READY' },
          { sort: { 'spec._priority': -1, created_on: 1 } },
        ),
    ],
    [
      'of no category that there is',
      ready,
      () => fireworks.findOne({ $and: [...worker(), { 'spec._category': 'none' }], state: 'READY' }),
    ],
    ['runExists', 1, () => fireworks.findOne({ $and: worker(), state: 'READY' }, { projection: { _id: 1 } })],
    [
      'futureRunExists',
      // The two of the questions above are RESERVED now.
      running + 3,
      () => fireworks.find({ $and: worker(), state: { $in: ['RUNNING', 'RESERVED'] } }).toArray(),
    ],
    ['children that wait', 3, () => fireworks.findOne({ fw_id: { $in: [5, 6, 7] }, state: 'WAITING' })],
    ['who holds a launch', 1, () => fireworks.find({ launches: 77, state: 'COMPLETED' }).toArray()],
    [
      'who holds a launch, still RUNNING',
      1,
      () => fireworks.find({ launches: 77, state: 'RUNNING' }).toArray(),
    ],
    [
      'RUNNING Fireworks',
      running,
      () => fireworks.find({ state: 'RUNNING' }, { projection: { fw_id: 1, launches: 1 } }).toArray(),
    ],
    [
      'lost launches',
      5,
      () =>
        launches
          .find({
            state: 'RUNNING',
            state_history: { $elemMatch: { state: 'RUNNING', updated_on: { $lte: day(9) } } },
          })
          .toArray(),
    ],
    [
      'launches by their ids',
      3,
      () => launches.find({ launch_id: { $in: [1, 2, 3] }, state: { $nin: ['FIZZLED'] } }).toArray(),
    ],
    ['the newest ten', 10, () => fireworks.find().sort({ updated_on: -1 }).limit(10).toArray()],
    ['a range', 11, () => fireworks.find({ updated_on: { $gte: day(5000), $lte: day(5010) } }).toArray()],
    [
      'a page of a sorted range',
      5,
      () =>
        fireworks
          .find({ fw_id: { $gt: 500 } })
          .sort({ fw_id: 1 })
          .limit(5)
          .toArray(),
    ],
    [
      'a prefix of a compound index',
      ready,
      () => fireworks.countDocuments({ state: 'READY', 'spec._priority': 3 }),
    ],
    [
      'an aggregation',
      10,
      () =>
        fireworks
          .aggregate([{ $match: { fw_id: { $lt: 10 } } }, { $group: { _id: '$state', n: { $sum: 1 } } }])
          .toArray(),
    ],
    [
      'a join',
      20,
      () =>
        launches
          .aggregate([
            { $match: { launch_id: { $lt: 10 } } },
            { $lookup: { from: 'fireworks', localField: 'fw_id', foreignField: 'fw_id', as: 'fw' } },
          ])
          .toArray(),
    ],
    [
      'the workflow of a node',
      1,
      () => workflows.findOne({ nodes: 5000 }, { projection: { 'links.5000': 1 } }),
    ],
    [
      'a lock',
      1,
      () =>
        workflows.findOneAndUpdate(
          { nodes: NODES + 7, locked: { $exists: false } },
          { $set: { locked: true } },
        ),
    ],
    [
      'a state of a large workflow',
      1,
      () =>
        workflows.updateOne(
          { nodes: 5, locked: { $exists: false }, state: { $in: ['READY', 'RUNNING'] } },
          { $set: { 'fw_states.5': 'RUNNING', updated_on: new Date(), state: 'RUNNING' } },
        ),
    ],
  ];
  const scans: unknown[] = [];
  for (const [name, most, ask] of questions) {
    const { documents } = await looked(ask);
    if (documents > most) scans.push([name, documents]);
  }
  expect(scans).toEqual([]);
  const workflow = await workflows.findOne({ nodes: 5 });
  expect([workflow?.fw_states[5], workflow?.fw_states[6], Object.keys(workflow?.fw_states).length]).toEqual([
    'RUNNING',
    'WAITING',
    NODES,
  ]);
});

test('explain counts the same', async () => {
  const few = await fireworks.find({ fw_id: { $in: [1, 50_000] } }).explain('executionStats');
  expect(few.queryPlanner.winningPlan).toMatchObject({
    stage: 'FETCH',
    inputStage: { stage: 'IXSCAN', indexName: 'fw_id_1' },
  });
  expect(few.executionStats).toMatchObject({ nReturned: 2, totalDocsExamined: 2, totalKeysExamined: 2 });
  const all = await fireworks.find({ 'spec._category': 'few', 'spec.x': 1 }).explain('executionStats');
  expect(all.queryPlanner.winningPlan.stage).toBe('COLLSCAN');
  expect(all.executionStats).toMatchObject({ nReturned: 0, totalDocsExamined: FIREWORKS });
});
