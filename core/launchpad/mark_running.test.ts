import { expect, test } from 'bun:test';
import { addWorkflows, newWorkflow } from './add.ts';
import { type Claim, claim } from './claim.ts';
import { costOf } from './command_count.ts';
import { complete } from './complete.ts';
import { violations } from './invariants.ts';
import type { LaunchPad } from './launchpad.ts';
import { fwAction } from './model.ts';
import { type TestPad, testPad } from './test_pad.ts';
import { wireTo } from './test_wire.ts';

const worker = { name: 'w', category: '', query: {}, env: {} };
const take = async (launchpad: LaunchPad) =>
  (await claim(launchpad, worker, { launchDir: (id) => `/tmp/launch_${id}` })) as Claim;

/** The first seven begin one after the other, and 8 waits for all of them. */
const FAN = Object.fromEntries([1, 2, 3, 4, 5, 6, 7].map((id) => [id, [8]]));

async function add(launchpad: LaunchPad, links: Record<number, number[]>): Promise<void> {
  const ids = new Set([...Object.keys(links).map(Number), ...Object.values(links).flat()]);
  const fws = [...ids].map((fw_id, i) => ({
    fw_id,
    spec: { _priority: -i, _tasks: [{ _fw_name: 'ScriptTask', script: 'true' }] },
  }));
  await addWorkflows(launchpad, [newWorkflow({ fws, links })]);
}

/** A worker over a wire that has begun four of them: it has launch ids in hand, and a guess where the fifth one is. */
async function begunFour(pad: TestPad, links = FAN) {
  const wire = await wireTo(pad.settings, { launchIdsAhead: 8, monitorCommands: true });
  await add(pad.launchpad, links);
  for (let i = 0; i < 4; i++) await take(wire.launchpad);
  expect(wire.launchpad.lastPlaces.guess).toMatchObject({ children: [8] });
  return wire;
}

const statesIn = async ({ workflows }: LaunchPad, fwId: number) =>
  (await workflows.findOne({ nodes: fwId }))?.fw_states;

test('a Firework where the last ones were begins in two commands', async () => {
  await using pad = await testPad();
  await using wire = await begunFour(pad);
  let begun: Claim | undefined;
  const { commands } = await costOf(wire.launchpad.client, async () => {
    begun = await take(wire.launchpad);
  });
  if (wire.launchpad.bulks) expect(commands).toEqual(['findAndModify', 'bulkWrite']);
  expect(begun).toMatchObject({ fwId: 5, launchId: 5, place: { children: [8], alone: false } });
  expect(await statesIn(pad.launchpad, 5)).toMatchObject({ 4: 'RUNNING', 5: 'RUNNING', 6: 'READY' });
  expect(await violations(pad.launchpad)).toEqual([]);
  expect(await complete(wire.launchpad, begun as Claim, fwAction(), 'COMPLETED')).toBe(true);
  expect(await statesIn(pad.launchpad, 5)).toMatchObject({ 4: 'RUNNING', 5: 'COMPLETED', 6: 'READY' });
});

test('one that has other children is found where it is', async () => {
  await using pad = await testPad();
  await using wire = await begunFour(pad, { ...FAN, 5: [8, 9] });
  expect(await take(wire.launchpad)).toMatchObject({ fwId: 5, launchId: 5, place: { children: [8, 9] } });
  expect(wire.launchpad.lastPlaces.guess).toBeNull();
  expect(await take(wire.launchpad)).toMatchObject({ fwId: 6, launchId: 6, place: { children: [8] } });
  expect(await violations(pad.launchpad)).toEqual([]);
});

test('one of another workflow is found where it is', async () => {
  await using pad = await testPad();
  await using wire = await begunFour(pad);
  const spec = { _priority: 9, _tasks: [{ _fw_name: 'ScriptTask', script: 'true' }] };
  await addWorkflows(pad.launchpad, [newWorkflow({ spec })]);
  expect(await take(wire.launchpad)).toMatchObject({ fwId: 9, launchId: 5, place: { alone: true } });
  expect(await statesIn(pad.launchpad, 9)).toEqual({ 9: 'RUNNING' });
  expect(await pad.launchpad.launches.countDocuments()).toBe(5);
  expect(await violations(pad.launchpad)).toEqual([]);
});

test('in a workflow that has fizzled one begins in two commands too, and the workflow stays so', async () => {
  await using pad = await testPad();
  await using wire = await begunFour(pad);
  await complete(
    pad.launchpad,
    { fwId: 1, launchId: 1 },
    fwAction({ stored_data: { _message: 'x' } }),
    'FIZZLED',
  );
  // Two of them, for it is learnt that the workflow has fizzled.
  for (const fwId of [5, 6]) expect(await take(wire.launchpad)).toMatchObject({ fwId });
  const { commands } = await costOf(wire.launchpad.client, async () => void (await take(wire.launchpad)));
  if (wire.launchpad.bulks) expect(commands).toEqual(['findAndModify', 'bulkWrite']);
  expect(await statesIn(pad.launchpad, 5)).toMatchObject({
    1: 'FIZZLED',
    5: 'RUNNING',
    6: 'RUNNING',
    7: 'RUNNING',
  });
  expect((await pad.launchpad.workflows.findOne({}))?.state).toBe('FIZZLED');
  expect(await violations(pad.launchpad)).toEqual([]);
});

test('while Python holds the lock, the workflow is told when it gives it back', async () => {
  await using pad = await testPad();
  const { workflows } = pad.launchpad;
  await using wire = await begunFour(pad);
  await workflows.updateOne({}, { $set: { locked: true } });
  const beginning = take(wire.launchpad);
  await Bun.sleep(50);
  expect(await statesIn(pad.launchpad, 5)).toMatchObject({ 5: 'READY' });
  await workflows.updateOne({}, { $unset: { locked: '' } });
  expect(await beginning).toMatchObject({ fwId: 5, launchId: 5 });
  expect(await statesIn(pad.launchpad, 5)).toMatchObject({ 5: 'RUNNING' });
  expect(await violations(pad.launchpad)).toEqual([]);
});

test.each([
  ['before it is written', false],
  ['and its answer is lost', true],
])('the LaunchPad goes away %s: the next claim takes the same Firework up', async (_, arrives) => {
  await using pad = await testPad();
  await using wire = await begunFour(pad);
  const write = wire.hold('state_history', 'fw_states.5');
  const claiming = take(wire.launchpad).catch((thrown: unknown) => thrown);
  const held = await write;
  if (arrives) {
    held.passUnanswered();
    while ((await statesIn(pad.launchpad, 5))[5] !== 'RUNNING') await Bun.sleep(5);
  }
  wire.cut();
  expect(await claiming).toBeInstanceOf(Error);
  wire.mend();
  expect(await take(wire.launchpad)).toMatchObject({ fwId: 5, launchId: 5, place: { children: [8] } });
  expect(await pad.launchpad.launches.countDocuments({ fw_id: 5 })).toBe(1);
  expect(await take(wire.launchpad)).toMatchObject({ fwId: 6, launchId: 6 });
  expect(await violations(pad.launchpad)).toEqual([]);
});
