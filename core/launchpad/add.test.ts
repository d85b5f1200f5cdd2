import { describe, expect, test } from 'bun:test';
import { Double, Long } from 'bson';
import { addWorkflows, newWorkflow } from './add.ts';
import { claim } from './claim.ts';
import { violations } from './invariants.ts';
import { orphansAmong } from './orphans.ts';
import { refreshFirework } from './refresh.ts';
import { testPad } from './test_pad.ts';
import { wireTo } from './test_wire.ts';
import { type Doc, TYPED } from './values.ts';

const task = { _fw_name: 'ScriptTask', script: 'true' };
const spec = { _tasks: [task] };
const fw = (fw_id: number, more: Doc = {}): Doc => ({ fw_id, name: `f${fw_id}`, spec, ...more });

test('ids are given in the order of the old ones, and links follow', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  // As Python counts: the Firework that was made last has the lowest.
  const dict = { fws: [fw(-1), fw(-2), fw(-3), fw(-4)], links: { '-1': [-2, -3], '-2': -4, '-3': [-4] } };
  const [ids] = await addWorkflows(launchpad, [
    newWorkflow({ ...dict, name: 'diamond', metadata: { n: 1 } }),
  ]);
  expect(ids).toEqual(
    new Map([
      [-4, 1],
      [-3, 2],
      [-2, 3],
      [-1, 4],
    ]),
  );
  const projection = { _id: 0, created_on: 0, updated_on: 0 };
  expect(await launchpad.workflows.findOne<object>({}, { projection })).toEqual({
    name: 'diamond',
    metadata: { n: 1 },
    state: 'READY',
    nodes: [1, 2, 3, 4],
    links: { 1: [], 2: [1], 3: [1], 4: [3, 2] },
    parent_links: { 1: [2, 3], 2: [4], 3: [4] },
    fw_states: { 1: 'WAITING', 2: 'WAITING', 3: 'WAITING', 4: 'READY' },
  });
  const names = await launchpad.fireworks.find({}, { sort: { fw_id: 1 } }).toArray();
  expect(names.map(({ name, state }) => `${name} ${state}`)).toEqual([
    'f-4 WAITING',
    'f-3 WAITING',
    'f-2 WAITING',
    'f-1 READY',
  ]);
  expect(await violations(launchpad)).toEqual([]);
});

test('many at once, and many who add at once, have ids of their own', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  const two = () => [newWorkflow({ spec }), newWorkflow({ fws: [fw(1), fw(2)], links: { 1: [2] } })];
  const maps = await Promise.all(Array.from({ length: 10 }, () => addWorkflows(launchpad, two())));
  const ids = maps.flat().flatMap((map) => [...map.values()]);
  expect(ids.sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
  expect((await launchpad.ids.findOne({}))?.next_fw_id).toBe(31);
  expect(await addWorkflows(launchpad, [])).toEqual([]);
  expect(await violations(launchpad)).toEqual([]);
});

test('values keep their types, and a single Firetask becomes a list', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  const values = { f: new Double(1), l: Long.fromBigInt(2n ** 60n), big: 2 ** 40, none: null, text: 'a\0b' };
  await addWorkflows(launchpad, [newWorkflow({ name: 'one', spec: { ...values, _tasks: task } })]);
  const stored = await launchpad.fireworks.findOne({}, TYPED);
  const { f, l, big, none, text, _tasks } = stored?.spec ?? {};
  expect([f._bsontype, l.toString(), big.toString(), none, text]).toEqual([
    'Double',
    String(2n ** 60n),
    String(2 ** 40),
    null,
    'a\0b',
  ]);
  expect(_tasks).toEqual([task]);
  expect((await launchpad.workflows.findOne({}))?.name).toBe('one');
});

describe('what cannot be run is refused, with its place', () => {
  test.each<[unknown, string]>([
    [{ fws: [] }, 'fws: a workflow needs at least one Firework'],
    [{ fws: {} }, 'fws: a workflow needs at least one Firework'],
    [{ fws: [fw(1), 7] }, 'fws[1]: must be a dictionary with a spec'],
    [{ fws: [fw(1), { fw_id: 2 }] }, 'fws[1].spec: must be a dictionary with _tasks'],
    [{ fws: [fw(1), { spec: {} }] }, 'fws[1].spec._tasks: must be a list of Firetasks'],
    [{ spec: {} }, 'spec._tasks: must be a list of Firetasks'],
    [{}, 'spec: must be a dictionary with _tasks'],
    [{ spec: { _tasks: [task, 'x'] } }, 'spec._tasks[1]: must be a dictionary with a _fw_name'],
    [
      { fws: [fw(1, { spec: { _tasks: [task, { script: 'x' }] } })] },
      'fws[0].spec._tasks[1]._fw_name: must be the name of a Firetask',
    ],
    [{ fws: [fw(1), { ...fw(2), fw_id: 'two' }] }, 'fws[1].fw_id: must be an integer'],
    [{ fws: [fw(1), fw(2), fw(1)] }, 'fws[2].fw_id: 1 is the id of fws[0] already'],
    [{ fws: [fw(1)], links: [1] }, 'links: must be a dictionary {parent id: [child ids]}'],
    [{ fws: [fw(1)], links: { 2: [1] } }, 'links.2: no Firework has the fw_id 2'],
    [{ fws: [fw(1)], links: { 1: [3] } }, 'links.1: no Firework has the fw_id 3'],
    [{ fws: [fw(1)], links: { 1: ['x'] } }, 'links.1: no Firework has the fw_id "x"'],
    [{ fws: [fw(1)], links: { 1: [1] } }, 'links: a cycle, 1 -> 1'],
    [
      { fws: [fw(1), fw(2), fw(3), fw(4)], links: { 1: [2], 2: [3], 3: [4], 4: [2] } },
      'links: a cycle, 2 -> 3 -> 4 -> 2: a Firework cannot wait for itself',
    ],
    [{ fws: [fw(1)], metadata: 'x' }, 'metadata: must be a dictionary'],
  ])('%j', (dict, message) => {
    expect(() => newWorkflow(dict as Doc)).toThrow(message);
  });

  test('a chain of 20,000 is no cycle, and takes no stack', () => {
    const ids = Array.from({ length: 20_000 }, (_, i) => i + 1);
    const links = Object.fromEntries(ids.slice(1).map((id) => [id - 1, [id]]));
    expect(newWorkflow({ fws: ids.map((id) => fw(id)), links }).roots).toEqual([1]);
  });
});

test('who dies before the workflow is written leaves nothing that runs, and ids that are not given again', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await using wire = await wireTo(pad.settings);
  const held = wire.hold('insert', 'workflows');
  const dict = { fws: [fw(1), fw(2)], links: { 1: [2] } };
  const adding = addWorkflows(wire.launchpad, [newWorkflow(dict)]).catch((thrown: unknown) => thrown);
  await held;
  wire.cut();
  expect(await adding).toBeInstanceOf(Error);
  const worker = { name: 'w', category: '', query: {}, env: {} };
  expect(await claim(launchpad, worker, { launchDir: () => '/tmp/home' })).toBeNull();
  expect(await orphansAmong(launchpad, [1, 2])).toEqual([1, 2]);
  expect([...((await addWorkflows(launchpad, [newWorkflow(dict)]))[0]?.values() ?? [])]).toEqual([3, 4]);
});

test('a workflow whose author died before it was READY is started by a refresh', async () => {
  await using pad = await testPad();
  await using wire = await wireTo(pad.settings);
  const held = wire.hold('update', 'fireworks', 'READY');
  const adding = addWorkflows(wire.launchpad, [newWorkflow({ spec })]).catch((thrown: unknown) => thrown);
  await held;
  wire.cut();
  expect(await adding).toBeInstanceOf(Error);
  await refreshFirework(pad.launchpad, 1);
  expect((await pad.launchpad.fireworks.findOne({}))?.state).toBe('READY');
  expect(await violations(pad.launchpad)).toEqual([]);
});
