import { describe, expect, test } from 'bun:test';
import { addWorkflows, newWorkflow } from './add.ts';
import { type Claim, claim } from './claim.ts';
import { complete } from './complete.ts';
import { violations } from './invariants.ts';
import type { LaunchPad } from './launchpad.ts';
import { detectLostRuns, freeUnstarted, type LostRunsOptions } from './lost_runs.ts';
import { fwAction } from './model.ts';
import { addOfflineRun } from './offline.ts';
import { ping } from './ping.ts';
import { reserve } from './reservations.ts';
import { testPad } from './test_pad.ts';
import { wireTo } from './test_wire.ts';
import { isoTime } from './values.ts';

const worker = { name: 'w', category: '', query: {}, env: {} };
const dir = { launchDir: () => '/tmp/home' };
const task = { _fw_name: 'ScriptTask', script: 'true' };

async function fly(launchpad: LaunchPad, count = 1): Promise<Claim[]> {
  const all = Array.from({ length: count }, (_, i) => newWorkflow({ spec: { n: i + 1, _tasks: [task] } }));
  await addWorkflows(launchpad, all);
  const flying: Claim[] = [];
  for (let i = 0; i < count; i++) flying.push((await claim(launchpad, worker, dir)) as Claim);
  return flying;
}

/** As if the launch began so many seconds ago, and its heart beat last so many seconds ago. */
async function age({ launches }: LaunchPad, launchId: number, began: number, beat: number): Promise<void> {
  const at = (secs: number) => isoTime(new Date(Date.now() - secs * 1000));
  await launches.updateOne(
    { launch_id: launchId },
    { $set: { 'state_history.0.created_on': at(began), 'state_history.0.updated_on': at(beat) } },
  );
}

const firework = async ({ fireworks }: LaunchPad, fwId = 1) => await fireworks.findOne({ fw_id: fwId });
const launchState = async ({ launches }: LaunchPad, id: number) =>
  (await launches.findOne({ launch_id: id }))?.state;

// Launch 1 began 5 h ago and was silent since; 2 began 9 h ago, and beat until 5 h ago; 3 beat a minute ago.
test.each<[string, LostRunsOptions, number[]]>([
  ['after four hours', {}, [1, 2]],
  ['after what is said', { expirationSecs: 30 }, [1, 2, 3]],
  ['after longer than any was silent', { expirationSecs: 6 * 3600 }, []],
  ['that ran for a while', { minRuntimeSecs: 3600 }, [2]],
  ['that ran for a short time only', { maxRuntimeSecs: 3600 }, [1]],
  ['that ran between two times', { minRuntimeSecs: 5 * 3600, maxRuntimeSecs: 6 * 3600 }, []],
  ['of certain Fireworks', { query: { 'spec.n': 2 } }, [2]],
  ['of certain launches', { launchQuery: { 'fworker.name': 'other' } }, []],
])('runs are lost %s', async (_, options, lost) => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await fly(launchpad, 3);
  await age(launchpad, 1, 5 * 3600, 5 * 3600);
  await age(launchpad, 2, 9 * 3600, 5 * 3600);
  await age(launchpad, 3, 9 * 3600, 60);
  const found = await detectLostRuns(launchpad, options);
  expect(found).toEqual({ launchIds: lost, fwIds: lost, inconsistentFwIds: [] });
  // Looking changes nothing.
  expect(await launchpad.launches.countDocuments({ state: 'RUNNING' })).toBe(3);
});

test('a lost run is fizzled, or rerun, and its offline run forgotten', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  const [, second] = await fly(launchpad, 2);
  await addOfflineRun(launchpad, second as Claim, 'two');
  await age(launchpad, 2, 9999, 9999);
  await detectLostRuns(launchpad, { expirationSecs: 3600, fizzle: true });
  expect(await firework(launchpad, 2)).toMatchObject({ state: 'FIZZLED', launches: [2] });
  expect(await launchpad.offlineRuns.findOne({ launch_id: 2 })).toMatchObject({ deprecated: true });
  await age(launchpad, 1, 9999, 9999);
  await detectLostRuns(launchpad, { expirationSecs: 3600, rerun: true });
  expect(await firework(launchpad)).toMatchObject({ state: 'READY', launches: [], archived_launches: [1] });
  expect(await violations(launchpad)).toEqual([]);
});

test('a Firework with another launch that is alive is not rerun', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await fly(launchpad, 2);
  // Two share both launches, as duplicates do.
  await launchpad.fireworks.updateMany({}, { $set: { launches: [1, 2] } });
  await age(launchpad, 1, 9999, 9999);
  const found = await detectLostRuns(launchpad, { expirationSecs: 3600, rerun: true });
  expect(found).toMatchObject({ launchIds: [1], fwIds: [] });
  expect([await launchState(launchpad, 1), await launchState(launchpad, 2)]).toEqual(['FIZZLED', 'RUNNING']);
  expect((await firework(launchpad))?.state).toBe('RUNNING');
});

describe('between the look of a sweeper and its write', () => {
  /** A sweeper has found launch 1 lost and is about to end it when `act` happens. */
  async function sweepDuring(act: (launchpad: LaunchPad) => Promise<unknown>) {
    const pad = await testPad();
    await fly(pad.launchpad);
    await age(pad.launchpad, 1, 9999, 9999);
    await using wire = await wireTo(pad.settings);
    const held = wire.hold('update', 'FIZZLED', 'launch_id');
    const sweeping = detectLostRuns(wire.launchpad, { expirationSecs: 3600, rerun: true });
    const message = await held;
    await act(pad.launchpad);
    message.pass();
    await sweeping;
    return pad;
  }

  test('the heart beats again: it runs on', async () => {
    await using pad = await sweepDuring((lp) => ping(lp, 1));
    expect(await launchState(pad.launchpad, 1)).toBe('RUNNING');
    expect(await firework(pad.launchpad)).toMatchObject({ state: 'RUNNING', launches: [1] });
    expect(await violations(pad.launchpad)).toEqual([]);
  });

  test('it ends: it stays ended', async () => {
    await using pad = await sweepDuring((lp) =>
      complete(lp, { fwId: 1, launchId: 1 }, fwAction(), 'COMPLETED'),
    );
    expect(await firework(pad.launchpad)).toMatchObject({ state: 'COMPLETED', launches: [1] });
    expect(await violations(pad.launchpad)).toEqual([]);
  });

  test('another sweeper reruns it and it flies again: it is rerun once', async () => {
    await using pad = await sweepDuring(async (lp) => {
      await detectLostRuns(lp, { expirationSecs: 3600, rerun: true });
      await claim(lp, worker, dir);
    });
    expect(await firework(pad.launchpad)).toMatchObject({
      state: 'RUNNING',
      launches: [2],
      archived_launches: [1],
    });
    expect(await launchState(pad.launchpad, 2)).toBe('RUNNING');
    expect(await violations(pad.launchpad)).toEqual([]);
  });
});

test('many sweepers at once: every lost run is rerun once', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await fly(launchpad, 10);
  const pads = await Promise.all(Array.from({ length: 3 }, () => pad.another()));
  await Promise.all(pads.map((one) => detectLostRuns(one, { expirationSecs: -1, rerun: true })));
  const all = await launchpad.fireworks.find({}, { sort: { fw_id: 1 } }).toArray();
  expect(all.map(({ state, archived_launches }) => [state, archived_launches.length])).toEqual(
    Array.from({ length: 10 }, () => ['READY', 1]),
  );
  expect(await violations(launchpad)).toEqual([]);
});

describe('a RUNNING Firework whose launch has ended', () => {
  async function half(launchpad: LaunchPad, set: object): Promise<void> {
    await fly(launchpad);
    await launchpad.launches.updateOne({ launch_id: 1 }, { $set: set });
  }
  const long = isoTime(new Date(0));

  test('COMPLETED is told, and refreshed when asked', async () => {
    await using pad = await testPad();
    await half(pad.launchpad, { state: 'COMPLETED', action: fwAction(), time_end: long });
    expect((await detectLostRuns(pad.launchpad)).inconsistentFwIds).toEqual([1]);
    expect((await firework(pad.launchpad))?.state).toBe('RUNNING');
    await detectLostRuns(pad.launchpad, { refresh: true });
    expect((await firework(pad.launchpad))?.state).toBe('COMPLETED');
    expect(await violations(pad.launchpad)).toEqual([]);
  });

  test('FIZZLED by its own failure is not run again', async () => {
    await using pad = await testPad();
    await half(pad.launchpad, { state: 'FIZZLED', action: fwAction({ exit: true }), time_end: long });
    await detectLostRuns(pad.launchpad, { rerun: true, refresh: true });
    expect(await firework(pad.launchpad)).toMatchObject({ state: 'FIZZLED', launches: [1] });
  });

  test('FIZZLED by a sweeper that died is run again', async () => {
    await using pad = await testPad();
    await half(pad.launchpad, { state: 'FIZZLED', action: null, time_end: long });
    await detectLostRuns(pad.launchpad, { rerun: true });
    expect(await firework(pad.launchpad)).toMatchObject({ state: 'READY', archived_launches: [1] });
  });

  test('is not rerun by a sweeper that comes late, when another had it rerun and it flies', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await half(launchpad, { state: 'FIZZLED', action: null, time_end: long });
    await using wire = await wireTo(pad.settings);
    const lock = wire.hold('findAndModify', 'locked_by');
    const sweeping = detectLostRuns(wire.launchpad, { rerun: true });
    const held = await lock;
    await detectLostRuns(launchpad, { rerun: true });
    const again = (await claim(launchpad, worker, dir)) as Claim;
    held.pass();
    await sweeping;
    expect(await firework(launchpad)).toMatchObject({ state: 'RUNNING', launches: [2] });
    expect(await launchState(launchpad, 2)).toBe('RUNNING');
    expect(await complete(launchpad, again, fwAction(), 'COMPLETED')).toBe(true);
    expect(await violations(launchpad)).toEqual([]);
  });

  test.each<[string, object, RegExp]>([
    ['a detour that comes too late', fwAction({ detours: [{ spec: { _tasks: [task] } }] }), /cannot detour/],
    ['one that is none', { stored_data: {}, mod_spec: 'push' }, /mod_spec/],
    ['one whose file is gone', { gridfs_id: '0123456789abcdef01234567' }, /GridFS file .* cannot be read/],
  ])(
    'COMPLETED with an action that cannot be applied, %s: it is FIZZLED, the others are mended',
    async (_, action, why) => {
      await using pad = await testPad();
      const { launchpad } = pad;
      const chain = { fws: [1, 2].map((fw_id) => ({ fw_id, spec: { _tasks: [task] } })), links: { 1: [2] } };
      await addWorkflows(launchpad, [newWorkflow(chain)]);
      await claim(launchpad, worker, dir);
      await fly(launchpad, 2);
      const ended = { state: 'COMPLETED', action: fwAction(), time_end: long };
      await launchpad.launches.updateMany(
        {},
        { $set: ended, $push: { state_history: { state: 'COMPLETED', created_on: long } as never } },
      );
      await launchpad.launches.updateOne({ launch_id: 1 }, { $set: { action } });
      // Somebody has let the child go before.
      await launchpad.fireworks.updateOne({ fw_id: 2 }, { $set: { state: 'DEFUSED' } });
      await launchpad.workflows.updateOne({ nodes: 2 }, { $set: { 'fw_states.2': 'COMPLETED' } });
      const { inconsistentFwIds } = await detectLostRuns(launchpad, { refresh: true });
      expect(inconsistentFwIds).toEqual([1, 3, 4]);
      const states = await Promise.all([1, 3, 4].map((id) => firework(launchpad, id)));
      expect(states.map((one) => one?.state)).toEqual(['FIZZLED', 'COMPLETED', 'COMPLETED']);
      const launch = await launchpad.launches.findOne({ launch_id: 1 });
      expect(launch).toMatchObject({
        state: 'FIZZLED',
        time_end: long,
        state_history: [{ state: 'RUNNING' }, { state: 'FIZZLED' }],
        action: { stored_data: { _exception: { _stacktrace: expect.stringMatching(why) } } },
      });
      expect((await detectLostRuns(launchpad)).inconsistentFwIds).toEqual([]);
    },
  );

  test('whose workflow was deleted half-way keeps no other from being mended', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await fly(launchpad, 2);
    await launchpad.launches.updateMany(
      {},
      { $set: { state: 'COMPLETED', action: fwAction(), time_end: long } },
    );
    await launchpad.workflows.deleteOne({ nodes: 1 });
    await detectLostRuns(launchpad, { refresh: true });
    expect((await firework(launchpad, 2))?.state).toBe('COMPLETED');
  });

  test('a moment ago is left alone: its worker may be about to write', async () => {
    await using pad = await testPad();
    await half(pad.launchpad, { state: 'COMPLETED', action: fwAction(), time_end: isoTime() });
    expect((await detectLostRuns(pad.launchpad, { refresh: true })).inconsistentFwIds).toEqual([]);
    expect((await firework(pad.launchpad))?.state).toBe('RUNNING');
  });
});

test('a place in a queue is not freed as one that never started', async () => {
  await using pad = await testPad();
  await addWorkflows(pad.launchpad, [newWorkflow({ spec: { _tasks: [task] } })]);
  await reserve(pad.launchpad, worker, dir);
  expect(await freeUnstarted(pad.launchpad, -1)).toEqual([]);
  expect((await firework(pad.launchpad))?.state).toBe('RESERVED');
});
