/**
 * With 100,000 Fireworks in a database, what workers and people ask most looks at about as many documents as it returns, by
 * the indexes that `lpad reset` and `tuneup` make: told by the server's `explain` of every command that was sent.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { CommandStartedEvent, Document } from 'mongodb';
import {
  claim,
  detectLostRuns,
  type FWorker,
  freeUnstarted,
  futureRunExists,
  isoTime,
  type LaunchPad,
  runExists,
  typed,
} from '../core/launchpad/index.ts';
import { type TestPad, testPad } from '../core/launchpad/test_pad.ts';
import { fireworkDicts } from '../ctl/lpad/firework_view.ts';
import { fireworkIds, workflowIds } from '../ctl/lpad/select.ts';
import { workflowDicts } from '../ctl/lpad/workflow_view.ts';

const WORKFLOWS = 2000;
const SIZE = 50;
/** The last workflows are under way: in each one Firework is READY or RUNNING, and those after it wait. */
const UNDER_WAY = 200;
const RUNNING = 20;
const AT = 40;

let pad: TestPad;
let launchpad: LaunchPad;

beforeAll(async () => {
  pad = await testPad({ monitorCommands: true });
  launchpad = pad.launchpad;
  for (let from = 0; from < WORKFLOWS; from += 200) {
    const numbers = Array.from({ length: 200 }, (_, i) => from + i);
    await launchpad.workflows.insertMany(numbers.map(workflow));
    const all = numbers.flatMap((n) => idsOf(n).map((id, i) => ({ n, id, i })));
    await launchpad.fireworks.insertMany(all.map(({ n, id, i }) => firework(n, id, i)));
    await launchpad.launches.insertMany(all.flatMap(({ n, id, i }) => launch(n, id, i)));
  }
  const next = WORKFLOWS * SIZE + 1;
  await launchpad.ids.updateOne({}, { $set: { next_fw_id: next, next_launch_id: next } });
}, 120_000);

afterAll(async () => await pad[Symbol.asyncDispose]());

const idsOf = (n: number) => Array.from({ length: SIZE }, (_, i) => n * SIZE + i + 1);
const long = new Date(Date.now() - 1_000_000_000);
const at = (id: number) => isoTime(new Date(long.getTime() + id * 1000));

function stateOf(n: number, i: number): string {
  if (n < WORKFLOWS - UNDER_WAY || i < AT) return 'COMPLETED';
  if (i > AT) return 'WAITING';
  return n < WORKFLOWS - RUNNING ? 'READY' : 'RUNNING';
}

/** Of what is READY nine in ten are for `gpu`; what is RUNNING is `big`; all that was ever done for `cpu` is COMPLETED. */
function categoryOf(n: number, i: number) {
  if (i !== AT) return { _category: 'cpu' };
  if (n >= WORKFLOWS - RUNNING) return { _category: 'big' };
  return n % 10 === 0 ? {} : { _category: 'gpu' };
}

const specOf = (n: number, i: number) => ({
  ...categoryOf(n, i),
  _priority: n % 3,
  _tasks: [{ _fw_name: 'ScriptTask', script: 'true' }],
});

const firework = (n: number, id: number, i: number): Document => ({
  fw_id: id,
  name: `step ${i}`,
  spec: specOf(n, i),
  state: stateOf(n, i),
  launches: i <= AT && stateOf(n, i) !== 'READY' ? [id] : [],
  archived_launches: [],
  created_on: at(0),
  updated_on: at(id),
});

function launch(n: number, id: number, i: number): Document[] {
  const state = stateOf(n, i);
  if (state === 'READY' || state === 'WAITING') return [];
  const history = [{ state: 'RUNNING', created_on: at(id), updated_on: isoTime() }];
  const ended = state === 'COMPLETED';
  return [
    {
      ...{ launch_id: id, fw_id: id, state, host: 'h', ip: '1.1.1.1', launch_dir: `/l/${id}`, trackers: [] },
      fworker: { name: 'w', category: '', query: '{}', env: {} },
      state_history: ended ? [...history, { state, created_on: at(id) }] : history,
      action: ended ? { stored_data: {} } : null,
      ...{ time_start: at(id), time_end: ended ? at(id) : null, runtime_secs: ended ? typed(1) : null },
    },
  ];
}

/** A chain. */
function workflow(n: number): Document {
  const nodes = idsOf(n);
  const each = <T>(value: (id: number, i: number) => T) =>
    Object.fromEntries(nodes.map((id, i) => [id, value(id, i)]));
  return {
    nodes,
    links: each((id, i) => (i < SIZE - 1 ? [id + 1] : [])),
    parent_links: Object.fromEntries(nodes.slice(1).map((id) => [id, [id - 1]])),
    fw_states: each((_, i) => stateOf(n, i)),
    name: `chain ${n}`,
    metadata: {},
    state: n < WORKFLOWS - UNDER_WAY ? 'COMPLETED' : 'RUNNING',
    created_on: long,
    updated_on: new Date(long.getTime() + n * 1000),
  };
}

/** Of the driver, about the connection: no part of a command that can be explained. */
const ENVELOPE = ['lsid', '$db', '$clusterTime', '$readPreference', 'txnNumber'];
const EXPLAINED = ['find', 'findAndModify', 'update', 'delete', 'aggregate', 'count', 'distinct'];

/** Does `work`; then what the commands that it sent look at, by the server's own account. */
async function examined(work: () => Promise<unknown>) {
  const { client, db } = launchpad;
  const sent: Document[] = [];
  const onStart = ({ commandName, command }: CommandStartedEvent) => {
    if (EXPLAINED.includes(commandName)) sent.push(command);
  };
  client.on('commandStarted', onStart);
  try {
    await work();
  } finally {
    client.off('commandStarted', onStart);
  }
  const total = { commands: sent.length, documents: 0, keys: 0 };
  for (const command of sent) {
    const inner = Object.fromEntries(Object.entries(command).filter(([key]) => !ENVELOPE.includes(key)));
    const answer = await db.command({ explain: inner, verbosity: 'executionStats' });
    // An aggregation's are inside its first stage.
    const { executionStats } = answer.executionStats ? answer : answer.stages[0].$cursor;
    total.documents += executionStats.totalDocsExamined;
    total.keys += executionStats.totalKeysExamined;
  }
  return total;
}

const worker = (part: Partial<FWorker> = {}): FWorker => ({
  ...{ name: 'w', category: '', query: {}, env: {} },
  ...part,
});
const take = (by: FWorker) => claim(launchpad, by, { launchDir: () => '/tmp/home' });

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** Holds what is looked at against the most that it may be. An index is left after one key too many for each of its ranges. */
async function looksAtMost(most: number, work: () => Promise<unknown>): Promise<void> {
  const total = await examined(work);
  const tooMany = total.documents > most || total.keys > 2 * most + 5 || total.commands > MOST_COMMANDS;
  expect({ ...total, tooMany }).toMatchObject({ tooMany: false });
}

const MOST_COMMANDS = 8;

test.each<[string, Partial<FWorker>]>([
  ['of any category', {}],
  ['of one', { category: 'gpu' }],
  ['of several', { category: ['gpu', 'cpu', 'tpu'] }],
  ['of none', { category: '__none__' }],
])('a worker %s takes a Firework', async (_, part) => {
  await looksAtMost(12, async () => expect(await take(worker(part))).toMatchObject({ name: `step ${AT}` }));
});

test.each<[string, Partial<FWorker>]>([
  ['a category', { category: 'cpu' }],
  ['several categories', { category: ['cpu', 'tpu'] }],
  ['a category, and a query', { category: 'cpu', query: { 'spec.kind': 'big' } }],
])('a worker with %s for which nothing is READY', async (_, part) => {
  await looksAtMost(0, async () => expect(await take(worker(part))).toBeNull());
  await looksAtMost(0, async () => expect(await runExists(launchpad, worker(part))).toBe(false));
});

test('what an idle worker asks before it goes home', async () => {
  await looksAtMost(1, async () => expect(await runExists(launchpad, worker())).toBe(true));
  const future = (category: string) => futureRunExists(launchpad, worker({ category }));
  await looksAtMost(0, async () => expect(await future('cpu')).toBe(false));
  // What is RUNNING, the workflows of these, and a child that waits.
  await looksAtMost(2 * RUNNING + 1, async () => expect(await future('big')).toBe(true));
});

test('lpad get_fws -s READY -m 10', async () => {
  await looksAtMost(20, async () => {
    const ids = await fireworkIds(launchpad, { state: 'READY' }, { limit: 10 });
    expect(await all(fireworkDicts(launchpad, ids, 'less'))).toHaveLength(10);
  });
});

test('lpad get_wflows -s RUNNING -m 10', async () => {
  await looksAtMost(20 + 10 * SIZE, async () => {
    const ids = await workflowIds(launchpad, { state: 'RUNNING' }, { limit: 10 });
    expect(await all(workflowDicts(launchpad, ids, 'less'))).toHaveLength(10);
  });
});

test('the sweep for lost runs looks at what is RUNNING', async () => {
  const alive = await launchpad.launches.countDocuments({ state: 'RUNNING' });
  // Its launches, its Fireworks, and whether a launch of theirs is alive.
  await looksAtMost(3 * alive, async () =>
    expect(await detectLostRuns(launchpad, { expirationSecs: 3600 })).toEqual({
      ...{ launchIds: [], fwIds: [], inconsistentFwIds: [] },
    }),
  );
  await looksAtMost(0, async () => expect(await freeUnstarted(launchpad, 3600)).toEqual([]));
});
