import { describe, expect, test } from 'bun:test';
import type { Document } from 'mongodb';
import { addWorkflows, newWorkflow } from './add.ts';
import { claim } from './claim.ts';
import { defuse, deleteWorkflow, pause } from './control.ts';
import { violations } from './invariants.ts';
import type { LaunchPad } from './launchpad.ts';
import { detectLostRuns, freeUnstarted } from './lost_runs.ts';
import type { FWorker } from './model.ts';
import { OpenWorkflow } from './open_workflow.ts';
import { refreshFirework } from './refresh.ts';
import { rerun } from './rerun.ts';
import { reserve } from './reservations.ts';
import { testPad } from './test_pad.ts';
import { wireTo } from './test_wire.ts';
import type { Doc } from './values.ts';

const worker: FWorker = { name: 'w', category: '', query: {}, env: {} };
const dir = { launchDir: (id: number) => `/tmp/launch_${id}` };
const spec = (more: Doc = {}): Doc => ({ ...more, _tasks: [{ _fw_name: 'ScriptTask', script: 'true' }] });

/** Adds a workflow for each spec; later ones were made later. */
async function addAll(launchpad: LaunchPad, ...specs: Doc[]): Promise<void> {
  const all = specs.map((one, i) => ({
    name: `f${i + 1}`,
    spec: spec(one),
    created_on: new Date(1_000_000 * (i + 1)),
  }));
  await addWorkflows(launchpad, all.map(newWorkflow));
}

async function claimAll(launchpad: LaunchPad, by = worker): Promise<number[]> {
  const ids: number[] = [];
  for (let one = await claim(launchpad, by, dir); one; one = await claim(launchpad, by, dir))
    ids.push(one.fwId);
  return ids;
}

const stateOf = async ({ fireworks }: LaunchPad, fwId: number) =>
  (await fireworks.findOne({ fw_id: fwId }))?.state;

describe('which Firework', () => {
  test('the highest _priority first, of equals the oldest, those without one last', async () => {
    await using pad = await testPad();
    await addAll(pad.launchpad, {}, { _priority: 1 }, { _priority: 7 }, { _priority: 1 }, { _priority: -1 });
    expect(await claimAll(pad.launchpad)).toEqual([3, 2, 4, 5, 1]);
  });

  // 1: neither; 2: gpu; 3: cpu; 4: for the worker called other; 5: k is 1, which is an integer.
  const ALL = [{}, { _category: 'gpu' }, { _category: 'cpu' }, { _fworker: 'other' }, { k: 1 }];
  test.each<[string, Partial<FWorker>, number[]]>([
    ['any category', {}, [1, 2, 3, 5]],
    ['a category', { category: 'gpu' }, [2]],
    ['a list of categories', { category: ['gpu', 'cpu'] }, [2, 3]],
    ['an empty list: nothing', { category: [] }, []],
    ['none', { category: '__none__' }, [1, 5]],
    ['its own name', { name: 'other', category: '__none__' }, [1, 4, 5]],
    ['its query', { query: { 'spec.k': { $gte: 1 } } }, [5]],
    [
      'its query, with $and of its own, and its category',
      { query: { $and: [{ 'spec.k': 1 }] }, category: 'gpu' },
      [],
    ],
  ])('%s', async (_, part, expected) => {
    await using pad = await testPad();
    await addAll(pad.launchpad, ...ALL);
    expect(await claimAll(pad.launchpad, { ...worker, ...part })).toEqual(expected);
  });

  test('one that is named, whatever its priority and the category of the worker; not when it waits', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await addAll(launchpad, { _priority: 5 }, { _category: 'gpu' });
    await addWorkflows(launchpad, [
      newWorkflow({
        fws: [
          { fw_id: 1, spec: spec() },
          { fw_id: 2, spec: spec() },
        ],
        links: { 2: [1] },
      }),
    ]);
    expect((await claim(launchpad, worker, { ...dir, fwId: 2 }))?.fwId).toBe(2);
    expect(await claim(launchpad, worker, { ...dir, fwId: 2 })).toBeNull();
    expect(await claim(launchpad, worker, { ...dir, fwId: 3 })).toBeNull();
    expect(await stateOf(launchpad, 3)).toBe('WAITING');
  });
});

test('a claim that begins has the launch, its folder, and the checkpoint of the first Firetask', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await addAll(launchpad, { deep: { n: 1 } });
  const flown = await claim(launchpad, { ...worker, env: { db: 'x' } }, { ...dir, begins: true });
  expect(flown).toMatchObject({ fwId: 1, launchId: 1, name: 'f1', launchDir: '/tmp/launch_1', begun: true });
  const launch = await launchpad.launches.findOne({ launch_id: 1 });
  expect(launch).toMatchObject({ fw_id: 1, state: 'RUNNING', launch_dir: '/tmp/launch_1', action: null });
  expect(launch?.fworker).toEqual({ name: 'w', category: '', query: '{}', env: { db: 'x' } });
  expect(launch?.state_history[0].checkpoint._task_n).toBe(0);
  expect((await launchpad.workflows.findOne({}))?.fw_states).toEqual({ 1: 'RUNNING' });
});

test('a reservation becomes the run: the same launch, with the time it waited', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await addAll(launchpad, {});
  await reserve(launchpad, worker, dir);
  expect(await claim(launchpad, worker, dir)).toBeNull();
  const flown = await claim(launchpad, { ...worker, name: 'node7' }, { ...dir, fwId: 1 });
  expect(flown?.launchId).toBe(1);
  const launch = await launchpad.launches.findOne({ launch_id: 1 });
  expect(launch?.state_history.map(({ state }: Doc) => state)).toEqual(['RESERVED', 'RUNNING']);
  expect(launch?.fworker.name).toBe('node7');
  expect(launch?.reservedtime_secs).toBeGreaterThan(0);
  expect((await launchpad.ids.findOne({}))?.next_launch_id).toBe(2);
  expect(await violations(launchpad)).toEqual([]);
});

test('of many workers one alone gets each Firework', async () => {
  await using pad = await testPad();
  await addAll(pad.launchpad, ...Array.from({ length: 12 }, () => ({})));
  const pads = await Promise.all(Array.from({ length: 4 }, () => pad.another()));
  const taken = await Promise.all(pads.map((one) => claimAll(one)));
  expect(taken.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
  expect(await violations(pad.launchpad)).toEqual([]);
});

/** What others do to Firework 1 after it is RESERVED and before its launch is written. */
describe('between the first write of a claim and the second, it is', () => {
  async function claimDuring(act: (launchpad: LaunchPad) => Promise<unknown>) {
    const pad = await testPad();
    const { launchpad } = pad;
    await addAll(launchpad, {});
    await using wire = await wireTo(pad.settings);
    const held = wire.hold('next_launch_id');
    const claiming = claim(wire.launchpad, worker, dir);
    const message = await held;
    await act(launchpad);
    message.pass();
    return { pad, launchpad, flown: await claiming };
  }
  const launchStates = async ({ launches }: LaunchPad) =>
    (await launches.find({}, { sort: { launch_id: 1 } }).toArray()).map(({ state }) => state);

  test('paused: nobody runs it', async () => {
    const { pad, launchpad, flown } = await claimDuring((lp) => pause(lp, 1));
    await using _ = pad;
    expect(flown).toBeNull();
    expect(await stateOf(launchpad, 1)).toBe('PAUSED');
    expect(await launchStates(launchpad)).toEqual(['FIZZLED']);
    expect(await violations(launchpad)).toEqual([]);
  });

  test('defused: nobody runs it', async () => {
    const { pad, launchpad, flown } = await claimDuring((lp) => defuse(lp, 1));
    await using _ = pad;
    expect(flown).toBeNull();
    expect(await stateOf(launchpad, 1)).toBe('DEFUSED');
    expect(await violations(launchpad)).toEqual([]);
  });

  test('rerun: it is taken anew, with a launch of its own', async () => {
    const { pad, launchpad, flown } = await claimDuring((lp) => rerun(lp, 1));
    await using _ = pad;
    expect(flown).toMatchObject({ fwId: 1, launchId: 2 });
    expect((await launchpad.fireworks.findOne({}))?.launches).toEqual([2]);
    expect(await launchStates(launchpad)).toEqual(['FIZZLED', 'RUNNING']);
    expect(await violations(launchpad)).toEqual([]);
  });

  test('rerun and taken by another: it runs there alone', async () => {
    const { pad, launchpad, flown } = await claimDuring(async (lp) => {
      await rerun(lp, 1);
      await claim(lp, { ...worker, name: 'faster' }, dir);
    });
    await using _ = pad;
    expect(flown).toBeNull();
    const running = await launchpad.launches.find({ state: 'RUNNING' }).toArray();
    expect(running.map(({ fworker }) => fworker.name)).toEqual(['faster']);
    expect((await launchpad.fireworks.findOne({}))?.launches).toEqual([running[0]?.launch_id]);
    expect(await violations(launchpad)).toEqual([]);
  });

  test('deleted: there is nothing to run', async () => {
    const { pad, launchpad, flown } = await claimDuring((lp) => deleteWorkflow(lp, 1));
    await using _ = pad;
    expect(flown).toBeNull();
    expect(await launchStates(launchpad)).toEqual(['FIZZLED']);
  });
});

describe('a Firework that is READY before its workflow is there', () => {
  /** As Python adds: Fireworks first. */
  async function firstHalf(launchpad: LaunchPad): Promise<Document> {
    await addAll(launchpad, {});
    return (await launchpad.workflows.findOneAndDelete({})) as Document;
  }

  test('waits for it, and runs', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    const workflow = await firstHalf(launchpad);
    const claiming = claim(launchpad, worker, dir);
    await Bun.sleep(50);
    await launchpad.workflows.insertOne(workflow);
    expect((await claiming)?.fwId).toBe(1);
    expect(await violations(launchpad)).toEqual([]);
  });

  test('is set aside when it does not come, and the next one is taken', async () => {
    await using pad = await testPad({ lock: { namedWithinMs: 20 } });
    const { launchpad } = pad;
    await firstHalf(launchpad);
    await addAll(launchpad, {});
    expect((await claim(launchpad, worker, dir))?.fwId).toBe(2);
    expect(await stateOf(launchpad, 1)).toBe('PAUSED');
    expect((await launchpad.launches.findOne({ fw_id: 1 }))?.state).toBe('FIZZLED');
    expect(await violations(launchpad)).toEqual(['Firework 1 is in no workflow']);
  });
});

/** What a claim writes at once, each there or not. */
const WRITTEN = {
  firework: ({ fireworks }: LaunchPad, id: number) =>
    fireworks.countDocuments({ fw_id: id, state: 'RUNNING' }),
  launch: ({ launches }: LaunchPad, id: number) => launches.countDocuments({ fw_id: id }),
  workflow: ({ workflows }: LaunchPad, id: number) =>
    workflows.countDocuments({ [`fw_states.${id}`]: 'RUNNING' }),
};

/** Waits for what a claim sends beside the message that is held. */
async function arrived(
  launchpad: LaunchPad,
  id: number,
  what: readonly (keyof typeof WRITTEN)[],
): Promise<void> {
  for (const one of what) while ((await WRITTEN[one](launchpad, id)) === 0) await Bun.sleep(5);
}

/** The worker dies when the message with `words` is on its way, and the `others` have arrived. */
async function claimAndDie(
  pad: Awaited<ReturnType<typeof testPad>>,
  words: readonly string[],
  ...others: (keyof typeof WRITTEN)[]
): Promise<void> {
  await addAll(pad.launchpad, {});
  await using wire = await wireTo(pad.settings);
  const held = wire.hold(...words);
  const claiming = claim(wire.launchpad, worker, dir).catch((thrown: unknown) => thrown);
  await held;
  await arrived(pad.launchpad, 1, others);
  wire.cut();
  expect(await claiming).toBeInstanceOf(Error);
}

describe('a worker that dies in a claim', () => {
  test('before it has a launch: freed', async () => {
    await using pad = await testPad();
    await claimAndDie(pad, ['next_launch_id']);
    expect(await stateOf(pad.launchpad, 1)).toBe('RESERVED');
    expect(await freeUnstarted(pad.launchpad, 60)).toEqual([]);
    expect(await freeUnstarted(pad.launchpad, 0)).toEqual([1]);
    expect((await claim(pad.launchpad, worker, dir))?.launchId).toBe(1);
    expect(await violations(pad.launchpad)).toEqual([]);
  });

  test('before the Firework knows its launch: freed, and the launch ends', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await claimAndDie(pad, ['update', 'RUNNING', 'RESERVED', 'fireworks'], 'launch', 'workflow');
    expect(await stateOf(launchpad, 1)).toBe('RESERVED');
    expect(await freeUnstarted(launchpad, 0)).toEqual([1]);
    expect(await detectLostRuns(launchpad, { expirationSecs: -1, rerun: true })).toEqual({
      launchIds: [1],
      fwIds: [],
      inconsistentFwIds: [],
    });
    expect((await claim(launchpad, worker, dir))?.launchId).toBe(2);
    expect((await launchpad.launches.findOne({ launch_id: 1 }))?.state).toBe('FIZZLED');
    expect(await violations(launchpad)).toEqual([]);
  });

  test('before the launch is written: found inconsistent, and rerun', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await claimAndDie(pad, ['insert', 'state_history'], 'firework', 'workflow');
    expect(await stateOf(launchpad, 1)).toBe('RUNNING');
    expect(await launchpad.launches.countDocuments()).toBe(0);
    expect((await detectLostRuns(launchpad, { expirationSecs: 0, rerun: true })).inconsistentFwIds).toEqual([
      1,
    ]);
    expect(await stateOf(launchpad, 1)).toBe('READY');
  });

  test('before the workflow knows: lost like any run', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await claimAndDie(pad, ['update', 'fw_states.1'], 'firework', 'launch');
    expect((await launchpad.workflows.findOne({}))?.state).toBe('READY');
    expect((await detectLostRuns(launchpad, { expirationSecs: -1, rerun: true })).fwIds).toEqual([1]);
    expect(await stateOf(launchpad, 1)).toBe('READY');
    expect(await violations(launchpad)).toEqual([]);
  });
});

/** A connection that has launch ids in hand, as a worker after its first rockets. Fireworks 1 and 2 are flying. */
async function worked(pad: Awaited<ReturnType<typeof testPad>>) {
  const wire = await wireTo(pad.settings, { launchIdsAhead: 4, lock: { sweptAfterMs: 100 } });
  await addAll(pad.launchpad, {}, {});
  // Ids: 1; then 2 and 3 together.
  expect(await claimAll(wire.launchpad)).toEqual([1, 2]);
  expect(wire.launchpad.launchIds.spare).toBe(3);
  return wire;
}

/** Takes a Firework, and is cut off before the launch is written. */
async function claimCutOff(wire: Awaited<ReturnType<typeof worked>>): Promise<void> {
  const insert = wire.hold('update', 'state_history');
  const claiming = claim(wire.launchpad, worker, dir).catch((thrown: unknown) => thrown);
  await insert;
  wire.cut();
  expect(await claiming).toBeInstanceOf(Error);
}

describe('with a launch id in hand', () => {
  test('the Firework is RUNNING at once, and the id is used once', async () => {
    await using pad = await testPad();
    await using wire = await worked(pad);
    await addAll(pad.launchpad, {}, {});
    expect(await claim(wire.launchpad, worker, dir)).toMatchObject({ fwId: 3, launchId: 3 });
    expect(await claim(wire.launchpad, worker, dir)).toMatchObject({ fwId: 4, launchId: 4 });
    expect(await claim(wire.launchpad, worker, dir)).toBeNull();
    expect(await violations(pad.launchpad)).toEqual([]);
  });

  test('that finds nothing keeps the id', async () => {
    await using pad = await testPad();
    await using wire = await worked(pad);
    expect(await claim(wire.launchpad, worker, dir)).toBeNull();
    expect(wire.launchpad.launchIds.spare).toBe(3);
  });

  test.each([
    // The id may have been used, and is not used again.
    ['taking it', ['findAndModify', 'READY'], 4],
    ['writing its launch', ['update', 'state_history'], 3],
    ['telling the workflow', ['findAndModify', 'fw_states.3'], 3],
  ] as const)(
    'the LaunchPad goes away while %s: the next claim takes the same Firework up',
    async (_, words, launchId) => {
      await using pad = await testPad();
      await using wire = await worked(pad);
      await addAll(pad.launchpad, {});
      const held = wire.hold(...words);
      const claiming = claim(wire.launchpad, worker, dir).catch((thrown: unknown) => thrown);
      await held;
      await Bun.sleep(30);
      wire.cut();
      expect(await claiming).toBeInstanceOf(Error);
      wire.mend();
      expect(await claim(wire.launchpad, worker, dir)).toMatchObject({ fwId: 3, launchId });
      expect(await pad.launchpad.launches.countDocuments({ launch_id: { $gte: 3 } })).toBe(1);
      expect(await claim(wire.launchpad, worker, dir)).toBeNull();
      expect(await violations(pad.launchpad)).toEqual([]);
    },
  );

  test('a worker that froze after it took a Firework gives it up, when it was rerun meanwhile', async () => {
    await using pad = await testPad();
    await using wire = await worked(pad);
    await addAll(pad.launchpad, {});
    const insert = wire.hold('update', 'state_history');
    const claiming = claim(wire.launchpad, worker, dir);
    const held = await insert;
    await Bun.sleep(150);
    await detectLostRuns(pad.launchpad, { expirationSecs: 0, query: { fw_id: 3 }, rerun: true });
    expect(await claim(pad.launchpad, worker, dir)).toMatchObject({ fwId: 3 });
    held.pass();
    expect(await claiming).toBeNull();
    expect((await pad.launchpad.launches.findOne({ launch_id: 3 }))?.state).toBe('FIZZLED');
    expect(await violations(pad.launchpad)).toEqual([]);
  });

  test('somebody refreshes the workflow before the launch is written: the Firework is not offered to another', async () => {
    await using pad = await testPad();
    await using wire = await worked(pad);
    await addAll(pad.launchpad, {});
    const insert = wire.hold('update', 'state_history');
    const claiming = claim(wire.launchpad, worker, dir);
    const held = await insert;
    await OpenWorkflow.change(pad.launchpad, 3, (workflow) => workflow.repair());
    expect(await claim(pad.launchpad, worker, dir)).toBeNull();
    held.pass();
    expect(await claiming).toMatchObject({ fwId: 3, launchId: 3 });
    expect(await violations(pad.launchpad)).toEqual([]);
  });

  test('the launch never comes: a sweep that only refreshes offers the Firework again', async () => {
    await using pad = await testPad();
    await using wire = await worked(pad);
    await addAll(pad.launchpad, {});
    await claimCutOff(wire);
    await refreshFirework(pad.launchpad, 3);
    expect(await stateOf(pad.launchpad, 3)).toBe('RUNNING');
    await detectLostRuns(pad.launchpad, { expirationSecs: 0, query: { fw_id: 3 }, refresh: true });
    expect(await stateOf(pad.launchpad, 3)).toBe('READY');
    expect(await violations(pad.launchpad)).toEqual([]);
  });

  test('a Firework that has a later launch is not taken up: it is flown by another', async () => {
    await using pad = await testPad();
    await using wire = await worked(pad);
    await addAll(pad.launchpad, {});
    await claimCutOff(wire);
    // As a Python that takes what it finds READY, and leaves what is in its list.
    await pad.launchpad.fireworks.updateOne({ fw_id: 3 }, { $set: { state: 'READY' } });
    const other = await claim(pad.launchpad, worker, dir);
    expect(other).toMatchObject({ fwId: 3 });
    wire.mend();
    expect(await claim(wire.launchpad, worker, dir)).toBeNull();
    expect(await pad.launchpad.fireworks.findOne({ fw_id: 3 })).toMatchObject({
      state: 'RUNNING',
      launches: [3, other?.launchId],
    });
  });

  test('an id that a sweep has archived meanwhile is not used again', async () => {
    await using pad = await testPad();
    await using wire = await worked(pad);
    await addAll(pad.launchpad, {});
    await claimCutOff(wire);
    await detectLostRuns(pad.launchpad, { expirationSecs: 0, query: { fw_id: 3 }, rerun: true });
    wire.mend();
    expect(await claim(wire.launchpad, worker, dir)).toMatchObject({ fwId: 3, launchId: 4 });
    expect(await pad.launchpad.fireworks.findOne({ fw_id: 3 })).toMatchObject({
      launches: [4],
      archived_launches: [3],
    });
    expect(await violations(pad.launchpad)).toEqual([]);
  });

  test('one that has a duplicate finder is looked at first, as ever', async () => {
    await using pad = await testPad();
    await using wire = await worked(pad);
    await addAll(pad.launchpad, { _dupefinder: { _fw_name: 'DupeFinderExact' }, k: 1 });
    expect(await claim(wire.launchpad, worker, dir)).toMatchObject({ fwId: 3 });
    await addAll(pad.launchpad, { _dupefinder: { _fw_name: 'DupeFinderExact' }, k: 1 });
    expect(await claim(wire.launchpad, worker, dir)).toBeNull();
    const [first, second] = await pad.launchpad.fireworks.find({ fw_id: { $in: [3, 4] } }).toArray();
    expect(second).toMatchObject({ state: 'RUNNING', launches: first?.launches });
    expect(await violations(pad.launchpad)).toEqual([]);
  });
});

test('a worker comes back to what it took, as a sweep judges that nobody ever will: it flies there alone', async () => {
  await using pad = await testPad();
  await using wire = await worked(pad);
  await using sweeper = await wireTo(pad.settings);
  const { launchpad } = pad;
  await addAll(launchpad, {});
  const held = wire.hold('update', 'state_history');
  const claiming = claim(wire.launchpad, worker, dir).catch((thrown: unknown) => thrown);
  await held;
  await Bun.sleep(150);
  wire.cut();
  await claiming;
  wire.mend();
  const judging = sweeper.hold('launches', 'setOnInsert');
  const sweep = { expirationSecs: 0, launchQuery: { launch_id: 0 }, rerun: true };
  const sweeping = detectLostRuns(sweeper.launchpad, sweep);
  const judgement = await judging;
  expect(await claim(wire.launchpad, worker, dir)).toMatchObject({ fwId: 3, launchId: 3 });
  judgement.pass();
  expect((await sweeping).inconsistentFwIds).toEqual([3]);
  expect(await launchpad.fireworks.findOne({ fw_id: 3 })).toMatchObject({ state: 'RUNNING', launches: [3] });
  expect((await launchpad.launches.findOne({ launch_id: 3 }))?.state).toBe('RUNNING');
  expect(await violations(launchpad)).toEqual([]);
});

test('a sweep has judged that nobody ever comes back, and the worker does: it takes the Firework anew', async () => {
  await using pad = await testPad();
  await using wire = await worked(pad);
  const { launchpad } = pad;
  await addAll(launchpad, {});
  const held = wire.hold('update', 'state_history');
  const claiming = claim(wire.launchpad, worker, dir);
  const message = await held;
  await Bun.sleep(150);
  await detectLostRuns(launchpad, { expirationSecs: 0, launchQuery: { launch_id: 0 }, rerun: true });
  message.pass();
  expect(await claiming).toMatchObject({ fwId: 3, launchId: 4 });
  expect((await launchpad.launches.findOne({ launch_id: 3 }))?.state).toBe('FIZZLED');
  expect(await violations(launchpad)).toEqual([]);
});

test('a sweep ended the launch of a worker that comes back, and died: the Firework is not FIZZLED but run again', async () => {
  await using pad = await testPad();
  await using wire = await worked(pad);
  const { launchpad } = pad;
  await addAll(launchpad, {});
  const held = wire.hold('findAndModify', 'fw_states.3');
  const claiming = claim(wire.launchpad, worker, dir).catch((thrown: unknown) => thrown);
  await held;
  await arrived(launchpad, 3, ['firework', 'launch']);
  wire.cut();
  await claiming;
  wire.mend();
  // Its first write alone: then comes the rerun.
  await detectLostRuns(launchpad, { expirationSecs: -1, launchQuery: { launch_id: 3 }, fizzle: true });
  await launchpad.fireworks.updateOne({ fw_id: 3 }, { $set: { state: 'RUNNING' } });
  await Bun.sleep(150);
  expect(await claim(wire.launchpad, worker, dir)).toBeNull();
  expect(await stateOf(launchpad, 3)).toBe('RUNNING');
  await detectLostRuns(launchpad, { expirationSecs: 0, launchQuery: { launch_id: 0 }, rerun: true });
  expect(await claim(wire.launchpad, worker, dir)).toMatchObject({ fwId: 3, launchId: 4 });
  expect(await violations(launchpad)).toEqual([]);
});

test('a claim that waits long for a lock whose holder died is given up, when a sweep had it rerun meanwhile', async () => {
  await using pad = await testPad({ lock: { sweptAfterMs: 100 } });
  const { launchpad } = pad;
  await addAll(launchpad, {});
  await launchpad.workflows.updateOne({}, { $set: { locked: true, locked_by: 'somebody/1' } });
  await using wire = await wireTo(pad.settings, { lock: { sweptAfterMs: 100 } });
  const claiming = claim(wire.launchpad, worker, dir);
  while (!(await launchpad.fireworks.findOne({ launches: 1 }))) await Bun.sleep(10);
  await Bun.sleep(150);
  // While it asks for the lock once more the others do all of this; else it might take what is READY again before them.
  const asking = await wire.hold('findAndModify', 'locked_by');
  const other = await pad.another({ lock: { expiresMs: 50 } });
  await detectLostRuns(other, { expirationSecs: -1, rerun: true });
  expect(await claim(other, worker, dir)).toMatchObject({ launchId: 2 });
  asking.pass();
  expect(await claiming).toBeNull();
  expect(await launchpad.fireworks.findOne({})).toMatchObject({ state: 'RUNNING', launches: [2] });
  expect((await launchpad.launches.findOne({ launch_id: 1 }))?.state).toBe('FIZZLED');
  expect(await violations(launchpad)).toEqual([]);
});
