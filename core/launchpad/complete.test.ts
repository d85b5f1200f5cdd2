import { describe, expect, test } from 'bun:test';
import { addWorkflows, newWorkflow } from './add.ts';
import { appendWorkflow } from './apply_action.ts';
import { type Claim, claim } from './claim.ts';
import { complete, giveUp } from './complete.ts';
import { deleteWorkflow } from './control.ts';
import { violations } from './invariants.ts';
import { isAway, type LaunchPad } from './launchpad.ts';
import { detectLostRuns } from './lost_runs.ts';
import { fwAction, parseFWAction } from './model.ts';
import { refreshFirework } from './refresh.ts';
import { rerun } from './rerun.ts';
import { storedAction } from './stored_action.ts';
import { testPad } from './test_pad.ts';
import { wireTo } from './test_wire.ts';
import type { Doc } from './values.ts';

const worker = { name: 'w', category: '', query: {}, env: {} };
const dir = { launchDir: () => '/tmp/home' };
const _tasks = [{ _fw_name: 'ScriptTask', script: 'true' }];

/** Adds the chain 1 -> 2 and claims 1. */
async function flying(launchpad: LaunchPad): Promise<Claim> {
  const fws = [1, 2].map((fw_id) => ({ fw_id, spec: { _tasks } }));
  await addWorkflows(launchpad, [newWorkflow({ fws, links: { 1: [2] } })]);
  const flown = await claim(launchpad, worker, dir);
  if (!flown) throw new Error('nothing is READY');
  return flown;
}

const statesIn = async ({ fireworks }: LaunchPad) =>
  (await fireworks.find({}, { sort: { fw_id: 1 } }).toArray()).map(({ state }) => state);
const launchOf = async ({ launches }: LaunchPad, id: number) => await launches.findOne({ launch_id: id });
const changes = fwAction({ update_spec: { found: 7 }, mod_spec: [{ _push: { list: 1 } }] });
const MIB = 1024 * 1024;

describe('an end that the LaunchPad was away for', () => {
  test('is written by the second attempt, once', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await using wire = await wireTo(pad.settings);
    const flown = await flying(wire.launchpad);
    // The launch is written, the Fireworks are not.
    const held = wire.hold('update', 'fireworks', 'found');
    const first = complete(wire.launchpad, flown, changes, 'COMPLETED').catch((thrown: unknown) => thrown);
    await held;
    wire.cut();
    expect(await first).toSatisfy(isAway);
    expect((await launchOf(launchpad, 1))?.state).toBe('COMPLETED');
    expect(await statesIn(launchpad)).toEqual(['RUNNING', 'WAITING']);
    wire.mend();
    expect(await complete(wire.launchpad, flown, changes, 'COMPLETED')).toBe(true);
    expect(await statesIn(launchpad)).toEqual(['COMPLETED', 'READY']);
    expect((await launchpad.fireworks.findOne({ fw_id: 2 }))?.spec).toEqual({ _tasks, found: 7, list: [1] });
    expect((await launchOf(launchpad, 1))?.state_history.map(({ state }: Doc) => state)).toEqual([
      'RUNNING',
      'COMPLETED',
    ]);
    expect(await violations(launchpad)).toEqual([]);
  });

  test('and that the worker did not live to write is brought in by a sweep', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await using wire = await wireTo(pad.settings);
    const flown = await flying(wire.launchpad);
    const held = wire.hold('update', 'fireworks', 'found');
    const first = complete(wire.launchpad, flown, changes, 'COMPLETED').catch((thrown: unknown) => thrown);
    await held;
    wire.cut();
    await first;
    // The lock of the dead worker is in the way.
    await launchpad.workflows.updateOne({}, { $unset: { locked: '', locked_by: '' } });
    const swept = await detectLostRuns(launchpad, { expirationSecs: 0, rerun: true, refresh: true });
    expect(swept).toEqual({ launchIds: [], fwIds: [], inconsistentFwIds: [1] });
    expect(await statesIn(launchpad)).toEqual(['COMPLETED', 'READY']);
    expect((await launchpad.fireworks.findOne({ fw_id: 2 }))?.spec.found).toBe(7);
  });
});

describe('results are refused', () => {
  test.each<[string, (launchpad: LaunchPad) => Promise<unknown>, string[]]>([
    ['of a Firework that was rerun', (lp) => rerun(lp, 1), ['READY', 'WAITING']],
    [
      'of a run that was found lost',
      (lp) => detectLostRuns(lp, { expirationSecs: -1, fizzle: true }),
      ['FIZZLED', 'WAITING'],
    ],
    [
      'of a launch that was given up',
      (lp) => giveUp(lp, { fwId: 1, launchId: 1 }, 'preempted'),
      ['READY', 'WAITING'],
    ],
    ['of a workflow that was deleted', (lp) => deleteWorkflow(lp, 1), []],
  ])('%s', async (_, act, states) => {
    await using pad = await testPad();
    const { launchpad } = pad;
    const flown = await flying(launchpad);
    await act(launchpad);
    expect(await complete(launchpad, flown, changes, 'COMPLETED')).toBe(false);
    expect(await complete(launchpad, { fwId: 1, launchId: 1 }, null, 'FIZZLED')).toBe(false);
    expect(await statesIn(launchpad)).toEqual(states);
    expect((await launchpad.fireworks.findOne({ fw_id: 2 }))?.spec.found).toBeUndefined();
    expect((await launchpad.workflows.findOne({}))?.locked).toBeUndefined();
    expect(await violations(launchpad)).toEqual([]);
  });

  test('also when the rerun one runs elsewhere by now', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    const flown = await flying(launchpad);
    await rerun(launchpad, 1);
    const again = await claim(launchpad, worker, dir);
    expect(await complete(launchpad, flown, changes, 'COMPLETED')).toBe(false);
    expect((await launchOf(launchpad, 2))?.state).toBe('RUNNING');
    expect(await complete(launchpad, again as Claim, fwAction(), 'COMPLETED')).toBe(true);
    expect(await statesIn(launchpad)).toEqual(['COMPLETED', 'READY']);
  });
});

describe('giving up', () => {
  test('puts the Firework back, with the reason in an archived launch', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    const flown = await flying(launchpad);
    expect(await giveUp(launchpad, flown, 'preempted')).toBe(true);
    const firework = await launchpad.fireworks.findOne({ fw_id: 1 });
    expect(firework).toMatchObject({ state: 'READY', launches: [], archived_launches: [1] });
    const launch = await launchOf(launchpad, 1);
    expect(launch?.state).toBe('FIZZLED');
    expect(launch?.action.stored_data).toEqual({ _message: 'preempted', _preempted: true });
    expect(await violations(launchpad)).toEqual([]);
  });

  test('of a run that ended otherwise is refused', async () => {
    await using pad = await testPad();
    const flown = await flying(pad.launchpad);
    await detectLostRuns(pad.launchpad, { expirationSecs: -1, rerun: true, maxLostRuns: 5 });
    expect(await giveUp(pad.launchpad, flown, 'preempted')).toBe(false);
    expect((await launchOf(pad.launchpad, 1))?.action.stored_data).toMatchObject({ _lost: true });
  });

  test('is finished by a second attempt when the LaunchPad was away half-way, and counted once', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await using wire = await wireTo(pad.settings);
    const flown = await flying(wire.launchpad);
    const held = wire.hold('find', 'dupefinder');
    const first = giveUp(wire.launchpad, flown, 'preempted').catch((thrown: unknown) => thrown);
    await held;
    wire.cut();
    expect(await first).toBeInstanceOf(Error);
    for (let attempt = 0; attempt < 2; attempt++) {
      expect(await giveUp(launchpad, flown, 'preempted')).toBe(true);
      const firework = await launchpad.fireworks.findOne({ fw_id: 1 });
      expect(firework).toMatchObject({
        state: 'READY',
        launches: [],
        archived_launches: [1],
        preemptions: 1,
      });
    }
    expect(await violations(launchpad)).toEqual([]);
  });

  test('what a worker that died in it left is rerun by a sweep', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await using wire = await wireTo(pad.settings);
    const flown = await flying(wire.launchpad);
    const held = wire.hold('find', 'dupefinder');
    const giving = giveUp(wire.launchpad, flown, 'preempted').catch((thrown: unknown) => thrown);
    await held;
    wire.cut();
    await giving;
    expect(await statesIn(launchpad)).toEqual(['RUNNING', 'WAITING']);
    await detectLostRuns(launchpad, { expirationSecs: 0, rerun: true });
    expect(await statesIn(launchpad)).toEqual(['READY', 'WAITING']);
  });
});

test('an action of more than 15 MiB goes to GridFS, again when it is sent again, and comes back', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await using wire = await wireTo(pad.settings);
  const flown = await flying(wire.launchpad);
  const action = fwAction({ stored_data: { text: 'λ'.repeat(8 * MIB) }, update_spec: { found: 2 ** 53 } });
  const held = wire.hold('update', 'fireworks', 'found');
  const first = complete(wire.launchpad, flown, action, 'COMPLETED').catch((thrown: unknown) => thrown);
  await held;
  wire.cut();
  expect(await first).toSatisfy(isAway);
  wire.mend();
  expect(await complete(wire.launchpad, flown, action, 'COMPLETED')).toBe(true);
  const files = await launchpad.db.collection('fw_gridfs.files').find({}).toArray();
  expect(files.map(({ metadata }) => metadata)).toEqual([{ launch_id: 1 }]);
  const chunks = await launchpad.db.collection('fw_gridfs.chunks').distinct('files_id');
  expect(chunks).toEqual([files[0]?._id]);
  const launch = await launchOf(launchpad, 1);
  expect(launch?.action).toEqual({ gridfs_id: files[0]?._id.toString() });
  const stored = parseFWAction(await storedAction(launchpad, launch?.action));
  expect(stored.stored_data.text === action.stored_data.text).toBe(true);

  // A refresh applies it: here to what is found RUNNING with an ended launch.
  await launchpad.fireworks.updateOne({ fw_id: 2 }, { $unset: { 'spec.found': '' } });
  await launchpad.fireworks.updateOne({ fw_id: 1 }, { $set: { state: 'RUNNING' } });
  await refreshFirework(launchpad, 1);
  expect((await launchpad.fireworks.findOne({ fw_id: 2 }))?.spec.found).toBe(2 ** 53);

  // And a workflow that is appended gets what it changes.
  const [added] = await appendWorkflow(launchpad, newWorkflow({ spec: { _tasks } }), [1]);
  expect((await launchpad.fireworks.findOne({ fw_id: added }))?.spec.found).toBe(2 ** 53);
  expect(await violations(launchpad)).toEqual([]);

  await deleteWorkflow(launchpad, 1);
  for (const name of ['fw_gridfs.files', 'fw_gridfs.chunks'])
    expect(await launchpad.db.collection(name).countDocuments()).toBe(0);
});

const OWN_WRITE = ['update', 'fireworks', 'COMPLETED', 'launches'];

/** Holds one write of an end, that to the Firework itself if no other is named, lets `meanwhile` happen, and lets it go on. */
async function whileEnding(
  pad: Awaited<ReturnType<typeof testPad>>,
  fws: number[],
  links: Record<number, number[]>,
  meanwhile: (fwId: number) => Promise<unknown>,
  { bulks, hold = OWN_WRITE }: { bulks: boolean; hold?: readonly string[] },
): Promise<boolean> {
  await using wire = await wireTo(pad.settings);
  const { launchpad } = wire;
  launchpad.bulks = bulks;
  await addWorkflows(launchpad, [
    newWorkflow({ fws: fws.map((fw_id) => ({ fw_id, spec: { _tasks } })), links }),
  ]);
  const fly = async () => (await claim(launchpad, worker, dir)) as Claim;
  // The first ones end with a look around; what they find is glanced at after that.
  for (let i = 0; i < fws.length - 3; i++) await complete(launchpad, await fly(), fwAction(), 'COMPLETED');
  const flown = await fly();
  const write = wire.hold(...hold);
  const ending = complete(launchpad, flown, fwAction(), 'COMPLETED');
  const held = await write;
  await meanwhile(flown.fwId);
  held.pass();
  return await ending;
}

describe.each([
  ['its writes chained', true],
  ['its writes one by one', false],
])('an end from which nothing follows, %s', (_, bulks) => {
  const links = { 1: [5], 2: [5], 3: [5], 4: [5] };

  test('of one among many that are awaited, rerun meanwhile: it runs again, and its results are refused', async () => {
    await using pad = await testPad();
    const again = (fwId: number) => rerun(pad.launchpad, fwId);
    expect(await whileEnding(pad, [1, 2, 3, 4, 5], links, again, { bulks })).toBe(false);
    expect(await violations(pad.launchpad)).toEqual([]);
    expect((await statesIn(pad.launchpad)).sort()).toEqual([
      'COMPLETED',
      'COMPLETED',
      'READY',
      'READY',
      'WAITING',
    ]);
  });

  for (const [what, hold] of [
    ['the workflow', ['update', 'workflows', 'COMPLETED']],
    ['the Firework', OWN_WRITE],
  ] as const) {
    test(`of the last but one, while the last one ends before it is written to ${what}`, async () => {
      await using pad = await testPad();
      const { launchpad } = pad;
      const endLast = async () => {
        const last = (await claim(launchpad, worker, dir)) as Claim;
        await complete(launchpad, last, fwAction(), 'COMPLETED');
      };
      expect(await whileEnding(pad, [1, 2, 3, 4, 5], links, endLast, { bulks, hold })).toBe(true);
      expect(await statesIn(launchpad)).toEqual([...Array(4).fill('COMPLETED'), 'READY']);
      expect(await violations(launchpad)).toEqual([]);
    });
  }

  test('of one alone, rerun meanwhile: it runs again, and its results are refused', async () => {
    await using pad = await testPad();
    const current = await whileEnding(pad, [1], {}, (fwId) => rerun(pad.launchpad, fwId), { bulks });
    expect(current).toBe(false);
    expect(await violations(pad.launchpad)).toEqual([]);
    expect(await statesIn(pad.launchpad)).toEqual(['READY']);
  });

  test('of one alone, to which something is added meanwhile', async () => {
    await using pad = await testPad();
    const more = newWorkflow({ spec: { _tasks } });
    const current = await whileEnding(pad, [1], {}, (fwId) => appendWorkflow(pad.launchpad, more, [fwId]), {
      bulks,
    });
    expect(current).toBe(true);
    expect(await violations(pad.launchpad)).toEqual([]);
    expect(await statesIn(pad.launchpad)).toEqual(['COMPLETED', 'READY']);
  });

  test('of one alone, which Python holds the lock of', async () => {
    await using pad = await testPad();
    const { workflows } = pad.launchpad;
    await using wire = await wireTo(pad.settings);
    wire.launchpad.bulks = bulks;
    await addWorkflows(wire.launchpad, [newWorkflow({ spec: { _tasks } })]);
    const flown = (await claim(wire.launchpad, worker, dir)) as Claim;
    await workflows.updateOne({}, { $set: { locked: true } });
    const ending = complete(wire.launchpad, flown, fwAction(), 'COMPLETED');
    await Bun.sleep(50);
    // It writes back what it read.
    await workflows.updateOne({}, { $set: { 'fw_states.1': 'RUNNING' }, $unset: { locked: '' } });
    expect(await ending).toBe(true);
    expect(await violations(pad.launchpad)).toEqual([]);
    expect((await workflows.findOne({}))?.state).toBe('COMPLETED');
  });

  /** One Firework alone, in flight over a wire. */
  async function alone(wire: Awaited<ReturnType<typeof wireTo>>): Promise<Claim> {
    wire.launchpad.bulks = bulks;
    await addWorkflows(wire.launchpad, [newWorkflow({ spec: { _tasks } })]);
    return (await claim(wire.launchpad, worker, dir)) as Claim;
  }

  test('whose answer is lost: the second attempt finds what the first one wrote', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await using wire = await wireTo(pad.settings);
    const flown = await alone(wire);
    const write = wire.hold(...OWN_WRITE);
    const first = complete(wire.launchpad, flown, fwAction(), 'COMPLETED').catch((thrown: unknown) => thrown);
    (await write).passUnanswered();
    while ((await statesIn(launchpad))[0] !== 'COMPLETED') await Bun.sleep(5);
    wire.cut();
    expect(await first).toSatisfy(isAway);
    wire.mend();
    expect(await complete(wire.launchpad, flown, fwAction(), 'COMPLETED')).toBe(true);
    expect((await launchOf(launchpad, 1))?.state_history.map(({ state }: Doc) => state)).toEqual([
      'RUNNING',
      'COMPLETED',
    ]);
    expect((await launchpad.workflows.findOne({}))?.state).toBe('COMPLETED');
    expect(await violations(launchpad)).toEqual([]);
  });

  test('that did not arrive is written by the second attempt', async () => {
    await using pad = await testPad();
    await using wire = await wireTo(pad.settings);
    const flown = await alone(wire);
    const write = wire.hold('update', 'launches', 'COMPLETED');
    const first = complete(wire.launchpad, flown, fwAction(), 'COMPLETED').catch((thrown: unknown) => thrown);
    await write;
    wire.cut();
    expect(await first).toSatisfy(isAway);
    expect(await statesIn(pad.launchpad)).toEqual(['RUNNING']);
    wire.mend();
    expect(await complete(wire.launchpad, flown, fwAction(), 'COMPLETED')).toBe(true);
    expect(await statesIn(pad.launchpad)).toEqual(['COMPLETED']);
    expect(await violations(pad.launchpad)).toEqual([]);
  });

  test('of a run that was found lost, and that another worker repeats by now: nothing of it is written', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await using wire = await wireTo(pad.settings);
    const flown = await alone(wire);
    await detectLostRuns(launchpad, { expirationSecs: -1, rerun: true });
    const again = (await claim(launchpad, worker, dir)) as Claim;
    const before = await Promise.all([launchpad.workflows.findOne({}), launchpad.fireworks.findOne({})]);
    expect(await complete(wire.launchpad, flown, fwAction(), 'COMPLETED')).toBe(false);
    expect(await Promise.all([launchpad.workflows.findOne({}), launchpad.fireworks.findOne({})])).toEqual(
      before,
    );
    expect(await complete(launchpad, again, fwAction(), 'COMPLETED')).toBe(true);
    expect(await violations(launchpad)).toEqual([]);
  });

  test('of a Firework that has another launch, though its workflow does not know: the workflow is made right', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await using wire = await wireTo(pad.settings);
    const flown = await alone(wire);
    await launchpad.fireworks.updateOne({ fw_id: 1 }, { $set: { launches: [], state: 'READY' } });
    expect(await complete(wire.launchpad, flown, fwAction(), 'COMPLETED')).toBe(false);
    expect(await statesIn(launchpad)).toEqual(['READY']);
    expect((await launchpad.workflows.findOne({}))?.fw_states).toEqual({ 1: 'READY' });
  });

  test('of a workflow that was deleted', async () => {
    await using pad = await testPad();
    await using wire = await wireTo(pad.settings);
    const flown = await alone(wire);
    await deleteWorkflow(pad.launchpad, 1);
    expect(await complete(wire.launchpad, flown, fwAction(), 'COMPLETED')).toBe(false);
    for (const name of ['fireworks', 'launches', 'workflows'] as const)
      expect(await pad.launchpad[name].countDocuments()).toBe(0);
  });

  test('an action with what MongoDB would take for expressions is stored as it is', async () => {
    await using pad = await testPad();
    await using wire = await wireTo(pad.settings);
    const flown = await alone(wire);
    const stored_data = { price: '$5', $sum: ['$a'], nested: { $literal: 1 }, 'a.b': 2, list: ['$$ROOT'] };
    expect(await complete(wire.launchpad, flown, fwAction({ stored_data }), 'COMPLETED')).toBe(true);
    expect((await launchOf(pad.launchpad, 1))?.action.stored_data).toEqual(stored_data);
  });
});

test('a server that knows no bulkWrite is asked for one once', async () => {
  await using pad = await testPad({ monitorCommands: true });
  const { launchpad } = pad;
  const asked: string[] = [];
  launchpad.client.on('commandStarted', ({ commandName }) => void asked.push(commandName));
  const { command } = launchpad.admin;
  launchpad.admin.command = () => command.call(launchpad.admin, { bulkWriteOfALaterVersion: 1 });
  for (let i = 0; i < 2; i++) {
    await addWorkflows(launchpad, [newWorkflow({ spec: { _tasks } })]);
    const flown = (await claim(launchpad, worker, dir)) as Claim;
    expect(await complete(launchpad, flown, fwAction(), 'COMPLETED')).toBe(true);
  }
  expect(asked.filter((name) => name.startsWith('bulkWrite'))).toHaveLength(1);
  expect(await statesIn(launchpad)).toEqual(['COMPLETED', 'COMPLETED']);
  expect(await violations(launchpad)).toEqual([]);
});
