import { expect, test } from 'bun:test';
import { addWorkflows, newWorkflow } from './add.ts';
import type { LaunchPad } from './launchpad.ts';
import type { State } from './model.ts';
import { othersAwaited, othersThan } from './surroundings.ts';
import { testPad } from './test_pad.ts';

/** 1 -> 2, 3, 4; 2, 3 -> 5; 4 -> 6. */
async function workflowIn(launchpad: LaunchPad, states: Record<number, State>): Promise<unknown> {
  const fws = [1, 2, 3, 4, 5, 6].map((fw_id) => ({
    fw_id,
    spec: { _tasks: [{ _fw_name: 'ScriptTask', script: 'true' }] },
  }));
  const links = { 1: [2, 3, 4], 2: [5], 3: [5], 4: [6] };
  await addWorkflows(launchpad, [newWorkflow({ fws, links })]);
  const set = Object.fromEntries(Object.entries(states).map(([id, state]) => [`fw_states.${id}`, state]));
  const found = await launchpad.workflows.findOneAndUpdate({}, { $set: set });
  return found?._id;
}

test.each<[string, Record<number, State>, number, number[], [number, number[]][]]>([
  [
    'nobody else',
    { 1: 'RUNNING' },
    1,
    [2, 3, 4],
    [
      [2, []],
      [3, []],
      [4, []],
    ],
  ],
  ['one that runs', { 1: 'COMPLETED', 2: 'RUNNING', 3: 'RUNNING' }, 2, [5], [[5, [3]]]],
  ['one that is done', { 1: 'COMPLETED', 2: 'RUNNING', 3: 'COMPLETED' }, 2, [5], [[5, []]]],
  ['one that failed', { 1: 'COMPLETED', 2: 'RUNNING', 3: 'FIZZLED' }, 2, [5], [[5, [3]]]],
  ['no children', {}, 6, [], []],
])('children wait for %s', async (_, states, parent, children, waiting) => {
  await using pad = await testPad();
  const id = await workflowIn(pad.launchpad, states);
  expect([...(await othersAwaited(pad.launchpad, id, parent, children))]).toEqual(waiting);
});

test('of many a few are told, those with the highest ids: they are taken last', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  const ids = Array.from({ length: 120 }, (_, i) => i + 1);
  const fws = [...ids, 121].map((fw_id) => ({
    fw_id,
    spec: { _tasks: [{ _fw_name: 'ScriptTask', script: 'true' }] },
  }));
  await addWorkflows(launchpad, [
    newWorkflow({ fws, links: Object.fromEntries(ids.map((id) => [id, [121]])) }),
  ]);
  const { _id } = (await launchpad.workflows.findOne({})) ?? {};
  expect([...(await othersAwaited(launchpad, _id, 117, [121]))]).toEqual([
    [121, [112, 113, 114, 115, 116, 118, 119, 120]],
  ]);
  expect(launchpad.stillOpen.parentsOf(_id, 121)).toHaveLength(8);
});

test('what a workflow has beside those that change', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  const id = await workflowIn(launchpad, {
    1: 'COMPLETED',
    2: 'FIZZLED',
    3: 'COMPLETED',
    4: 'COMPLETED',
    6: 'COMPLETED',
  });
  const beside = async (changing: number[]) => {
    const { states, fizzled, leavesCompleted, leaves } = await othersThan(launchpad, id, changing);
    return { states: states.sort(), fizzled, leavesCompleted, leaves: leaves.sort() };
  };
  expect(await beside([])).toEqual({
    states: ['COMPLETED', 'FIZZLED', 'WAITING'],
    fizzled: [2],
    leavesCompleted: false,
    leaves: [],
  });
  expect(await beside([5, 6])).toEqual({
    states: ['COMPLETED', 'FIZZLED'],
    fizzled: [2],
    leavesCompleted: true,
    leaves: [5, 6],
  });
  expect(await beside([2, 6])).toEqual({
    states: ['COMPLETED', 'WAITING'],
    fizzled: [],
    leavesCompleted: false,
    leaves: [6],
  });
});
