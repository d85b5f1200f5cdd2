/** Preemptions, lost runs and failures, told apart and counted. */
import { describe, expect, test } from 'bun:test';
import { addWorkflows, newWorkflow } from './add.ts';
import { type Claim, claim } from './claim.ts';
import { complete, giveUp } from './complete.ts';
import { interruptionsOf, seldomPreempted } from './interruptions.ts';
import { violations } from './invariants.ts';
import type { LaunchPad } from './launchpad.ts';
import { detectLostRuns } from './lost_runs.ts';
import { type FWorker, failure } from './model.ts';
import { rerun } from './rerun.ts';
import { testPad } from './test_pad.ts';
import type { Doc } from './values.ts';

const worker: FWorker = { name: 'w', category: '', query: {}, env: {} };
const MINUTE = 60_000;

const add = (launchpad: LaunchPad, ...specs: Doc[]) =>
  addWorkflows(launchpad, [
    newWorkflow({
      fws: specs.map((spec, i) => ({ fw_id: i + 1, spec: { ...spec, _tasks: [] } })),
      links: {},
    }),
  ]);
const take = (launchpad: LaunchPad, only?: Doc) =>
  claim(launchpad, { ...worker, only }, { launchDir: () => '/tmp/x' });
const firework = ({ fireworks }: LaunchPad, fwId = 1) => fireworks.findOne({ fw_id: fwId });
const storedOf = async ({ launches }: LaunchPad, id: number) =>
  (await launches.findOne({ launch_id: id }))?.action.stored_data as Doc;

/** Takes Firework 1 and ends its run so. */
const ends = {
  preempted: async (launchpad: LaunchPad) =>
    void (await giveUp(launchpad, (await take(launchpad)) as Claim, 'preempted')),
  lost: async (launchpad: LaunchPad) => {
    await take(launchpad);
    await detectLostRuns(launchpad, { expirationSecs: -1, rerun: true, maxLostRuns: 9 });
  },
  failed: async (launchpad: LaunchPad) => {
    const taken = (await take(launchpad)) as Claim;
    await complete(launchpad, taken, failure(null, 'Error: no', null), 'FIZZLED');
    await rerun(launchpad, 1);
  },
};

test('each kind of end says in its launch which it is, and they are counted apart, since the last failure', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await add(launchpad, {});
  const counts: unknown[] = [];
  for (const end of ['preempted', 'lost', 'preempted', 'failed', 'lost', 'preempted'] as const) {
    await ends[end](launchpad);
    const { preempted, lost } = await interruptionsOf(launchpad, 1);
    counts.push([end, preempted, lost, (await firework(launchpad))?.preemptions]);
  }
  expect(counts).toEqual([
    ['preempted', 1, 0, 1],
    ['lost', 1, 1, 1],
    ['preempted', 2, 1, 2],
    // Whoever reruns it wants it tried anew.
    ['failed', 0, 0, undefined],
    ['lost', 0, 1, undefined],
    ['preempted', 1, 1, 1],
  ]);
  expect(await storedOf(launchpad, 1)).toEqual({ _message: 'preempted', _preempted: true });
  expect(await storedOf(launchpad, 2)).toEqual({
    _message: expect.stringMatching(/^the worker w on \S+ was last heard at 20\S+$/),
    _lost: true,
  });
  expect(Object.keys(await storedOf(launchpad, 4))).toEqual(['_message', '_task', '_exception']);
  expect(await firework(launchpad)).toMatchObject({ state: 'READY', archived_launches: [1, 2, 3, 4, 5, 6] });
  expect(await violations(launchpad)).toEqual([]);
});

test('a run that a person had rerun while it ran neither counts nor ends the count', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await add(launchpad, {});
  await ends.lost(launchpad);
  await take(launchpad);
  await rerun(launchpad, 1);
  await ends.lost(launchpad);
  expect(await interruptionsOf(launchpad, 1)).toEqual({ preempted: 0, lost: 2 });
});

describe('a worker whose VM can be preempted', () => {
  test('leaves alone what was preempted too often, until nobody else has taken it for a while', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await add(launchpad, { _priority: 1 }, {});
    for (let i = 0; i < 3; i++) await ends.preempted(launchpad);
    expect((await firework(launchpad))?.preemptions).toBe(3);
    const onSpot = seldomPreempted(3, 10 * MINUTE);
    expect((await take(launchpad, onSpot))?.fwId).toBe(2);
    expect(await take(launchpad, onSpot)).toBeNull();
    const later = seldomPreempted(3, 10 * MINUTE, Date.now() + 11 * MINUTE);
    const taken = (await take(launchpad, later)) as Claim;
    expect(taken.fwId).toBe(1);
    // What it could take at the moment is no part of who it is.
    const launch = await launchpad.launches.findOne({ launch_id: taken.launchId });
    expect(launch?.fworker).toEqual({ name: 'w', category: '', query: '{}', env: {} });
  });

  test('takes it as long as it was preempted less often; any other worker always does', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await add(launchpad, {});
    for (let i = 0; i < 3; i++) await ends.preempted(launchpad);
    expect((await take(launchpad, seldomPreempted(4, MINUTE)))?.fwId).toBe(1);
    await rerun(launchpad, 1);
    for (let i = 0; i < 3; i++) await ends.preempted(launchpad);
    expect((await take(launchpad))?.fwId).toBe(1);
  });
});

describe('lost too often', () => {
  const sweep = (launchpad: LaunchPad, maxLostRuns: number) =>
    detectLostRuns(launchpad, { expirationSecs: -1, rerun: true, refresh: true, maxLostRuns });

  test('it is FIZZLED, and says why where people look; when it is rerun, it has as many chances again', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await add(launchpad, {});
    for (let chance = 0; chance < 2; chance++) {
      for (const state of ['READY', 'READY', 'FIZZLED']) {
        expect(await take(launchpad)).not.toBeNull();
        await sweep(launchpad, 3);
        expect((await firework(launchpad))?.state).toBe(state);
      }
      const [last] = ((await firework(launchpad))?.launches ?? []) as number[];
      const why =
        /^3 runs of this Firework were lost in a row \(max_lost_runs\): the worker w .*lpad rerun_fws -i 1$/;
      expect(await storedOf(launchpad, last as number)).toMatchObject({
        _message: expect.stringMatching(why),
        _lost: true,
        _exception: { _stacktrace: expect.stringMatching(why) },
      });
      expect(await sweep(launchpad, 3)).toEqual({ launchIds: [], fwIds: [], inconsistentFwIds: [] });
      await rerun(launchpad, 1);
    }
    expect(await violations(launchpad)).toEqual([]);
  });

  test('a sweeper that died after it had ended the last launch: the next one comes to the same end', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await add(launchpad, {});
    await take(launchpad);
    await sweep(launchpad, 2);
    await take(launchpad);
    const long = new Date(0).toISOString();
    await launchpad.launches.updateOne(
      { launch_id: 2 },
      { $set: { state: 'FIZZLED', action: { stored_data: { _lost: true }, exit: true }, time_end: long } },
    );
    await sweep(launchpad, 2);
    expect(await firework(launchpad)).toMatchObject({
      state: 'FIZZLED',
      launches: [2],
      archived_launches: [1],
    });
    expect(await storedOf(launchpad, 2)).toMatchObject({ _lost: true, _exception: {} });
    expect(await violations(launchpad)).toEqual([]);
  });
});
