import { describe, expect, test } from 'bun:test';
import { addWorkflows, newWorkflow } from './add.ts';
import { type Claim, claim } from './claim.ts';
import { complete } from './complete.ts';
import { archiveWorkflow, defuse } from './control.ts';
import { violations } from './invariants.ts';
import type { LaunchPad } from './launchpad.ts';
import { fwAction } from './model.ts';
import { ping } from './ping.ts';
import { type RerunOptions, rerun } from './rerun.ts';
import { testPad } from './test_pad.ts';
import type { Doc } from './values.ts';

const worker = { name: 'w', category: '', query: {}, env: {} };
const dir = { launchDir: (id: number) => `/tmp/launch_${id}` };
const _tasks = [1, 2, 3].map((n) => ({ _fw_name: 'ScriptTask', script: `exit ${n}` }));

/** Adds the chain 1 -> 2 -> 3. */
async function chain(launchpad: LaunchPad): Promise<void> {
  const fws = [1, 2, 3].map((fw_id) => ({ fw_id, spec: { _tasks } }));
  await addWorkflows(launchpad, [newWorkflow({ fws, links: { 1: [2], 2: [3] } })]);
}

async function fly(launchpad: LaunchPad, state: 'COMPLETED' | 'FIZZLED' = 'COMPLETED'): Promise<void> {
  const flown = (await claim(launchpad, worker, dir)) as Claim;
  await complete(launchpad, flown, fwAction(), state);
}

const all = async ({ fireworks }: LaunchPad) =>
  (await fireworks.find({}, { sort: { fw_id: 1 } }).toArray()).map(({ state, launches, archived_launches }) =>
    [state, launches.join(), archived_launches.join()].join(' '),
  );

test('it and all below it that have started are put back, with their launches archived', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await chain(launchpad);
  for (let i = 0; i < 3; i++) await fly(launchpad);
  expect(await all(launchpad)).toEqual(['COMPLETED 1 ', 'COMPLETED 2 ', 'COMPLETED 3 ']);
  expect(await rerun(launchpad, 2)).toEqual([2]);
  expect(await all(launchpad)).toEqual(['COMPLETED 1 ', 'READY  2', 'WAITING  3']);
  expect((await launchpad.workflows.findOne({}))?.state).toBe('RUNNING');
  expect(await violations(launchpad)).toEqual([]);
});

test('one that runs is stopped: its launch ends, and its heart finds nothing to beat in', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await chain(launchpad);
  await fly(launchpad);
  await claim(launchpad, worker, dir);
  await rerun(launchpad, 1);
  expect(await all(launchpad)).toEqual(['READY  1', 'WAITING  2', 'WAITING  ']);
  expect(await launchpad.launches.findOne({ launch_id: 2 })).toMatchObject({
    state: 'FIZZLED',
    action: null,
  });
  expect(await ping(launchpad, 2)).toBe(false);
});

test.each<[string, (launchpad: LaunchPad) => Promise<unknown>, string[]]>([
  ['WAITING', async () => {}, ['COMPLETED 1 ', 'READY  ', 'WAITING  ']],
  ['DEFUSED', (lp) => defuse(lp, 3), ['COMPLETED 1 ', 'READY  ', 'DEFUSED  ']],
  ['ARCHIVED', (lp) => archiveWorkflow(lp, 3), ['ARCHIVED  1', 'ARCHIVED  ', 'ARCHIVED  ']],
])('one that is %s is left alone', async (_, act, states) => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await chain(launchpad);
  await fly(launchpad);
  await act(launchpad);
  expect(await rerun(launchpad, 3)).toEqual([]);
  expect(await all(launchpad)).toEqual(states);
});

test('one below it that was defused runs again too, as in FireWorks', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await chain(launchpad);
  await fly(launchpad);
  await defuse(launchpad, 2);
  await rerun(launchpad, 1);
  expect(await all(launchpad)).toEqual(['READY  1', 'WAITING  ', 'WAITING  ']);
});

describe('duplicates', () => {
  async function twins(launchpad: LaunchPad): Promise<void> {
    const spec = { _tasks, _dupefinder: { _fw_name: 'DupeFinderExact' } };
    await addWorkflows(launchpad, [newWorkflow({ spec }), newWorkflow({ spec })]);
    await fly(launchpad);
    expect(await claim(launchpad, worker, dir)).toBeNull();
    expect(await all(launchpad)).toEqual(['COMPLETED 1 ', 'COMPLETED 1 ']);
  }

  test('that share its launch are rerun too', async () => {
    await using pad = await testPad();
    await twins(pad.launchpad);
    expect(await rerun(pad.launchpad, 2)).toEqual([2, 1]);
    expect(await all(pad.launchpad)).toEqual(['READY  1', 'READY  1']);
  });

  test('are left when only this one is asked for', async () => {
    await using pad = await testPad();
    await twins(pad.launchpad);
    expect(await rerun(pad.launchpad, 2, { withDuplicates: false })).toEqual([2]);
    expect(await all(pad.launchpad)).toEqual(['COMPLETED 1 ', 'READY  1']);
  });
});

describe('recovery', () => {
  const checkpoint = { _task_n: 1, _all_stored_data: { a: 1.5 }, _all_update_spec: {}, _all_mod_spec: [] };

  /** Firework 1 failed in its second Firetask. */
  async function failed(launchpad: LaunchPad): Promise<void> {
    await chain(launchpad);
    const flown = (await claim(launchpad, worker, dir)) as Claim;
    await ping(launchpad, flown.launchId, checkpoint);
    await complete(launchpad, flown, fwAction({ exit: true }), 'FIZZLED');
  }
  const specOf = async ({ fireworks }: LaunchPad) => (await fireworks.findOne({ fw_id: 1 }))?.spec as Doc;

  test.each<[RerunOptions, Doc]>([
    [
      { recover: 'last' },
      { _recovery: { ...checkpoint, _prev_dir: '/tmp/launch_1', _launch_id: 1, _mode: null } },
    ],
    [
      { recover: 1, recoverMode: 'cp' },
      { _recovery: { ...checkpoint, _prev_dir: '/tmp/launch_1', _launch_id: 1, _mode: 'cp' } },
    ],
    [
      { recover: 'last', recoverMode: 'prev_dir' },
      {
        _recovery: { ...checkpoint, _prev_dir: '/tmp/launch_1', _launch_id: 1, _mode: 'prev_dir' },
        _launch_dir: '/tmp/launch_1',
      },
    ],
  ])('%j', async (options, added) => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await failed(launchpad);
    await rerun(launchpad, 1, options);
    expect(await specOf(launchpad)).toEqual({ _tasks, ...added });
    expect((await all(launchpad))[0]).toBe('READY  1');
    // The next run does not begin by itself at the first Firetask: its rocket reads where.
    expect((await claim(launchpad, worker, { ...dir, begins: true }))?.begun).toBe(false);
    await rerun(launchpad, 1);
    expect('_recovery' in (await specOf(launchpad))).toBe(false);
  });

  test('is refused when there is nothing to recover from, and nothing is changed', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await failed(launchpad);
    await expect(rerun(launchpad, 1, { recover: 7 })).rejects.toThrow('Launch 7 is not one of Firework 1');
    await expect(rerun(launchpad, 2, { recover: 'last' })).rejects.toThrow('no launch to recover from');
    await expect(rerun(launchpad, 9)).rejects.toThrow('There is no Firework with fw_id 9');
    await launchpad.launches.updateOne({}, { $unset: { 'state_history.1.checkpoint': '' } });
    await expect(rerun(launchpad, 1, { recover: 'last' })).rejects.toThrow('none of its Firetasks began');
    expect((await all(launchpad))[0]).toBe('FIZZLED 1 ');
    expect(await specOf(launchpad)).toEqual({ _tasks });
  });
});
