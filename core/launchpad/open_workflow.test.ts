/** Workflows that grow, with others looking on between the writes, and workers that die between them. */
import { expect, test } from 'bun:test';
import { addWorkflows, newWorkflow } from './add.ts';
import { type Claim, claim } from './claim.ts';
import { complete } from './complete.ts';
import { violations } from './invariants.ts';
import { isAway, type LaunchPad } from './launchpad.ts';
import { detectLostRuns } from './lost_runs.ts';
import { fwAction } from './model.ts';
import { type TestPad, testPad } from './test_pad.ts';
import { wireTo } from './test_wire.ts';

const worker = { name: 'w', category: '', query: {}, env: {} };
const dir = { launchDir: () => '/tmp/home' };
const spec = { _tasks: [{ _fw_name: 'ScriptTask', script: 'true' }] };
const grows = fwAction({
  detours: [{ name: 'detour', spec }],
  additions: [{ name: 'addition', spec }],
  mod_spec: [{ _push: { list: 1 } }],
});

/** Adds 1 -> 2 and claims 1, over `launchpad`. */
async function flying(launchpad: LaunchPad): Promise<Claim> {
  const fws = [1, 2].map((fw_id) => ({ fw_id, name: `f${fw_id}`, spec }));
  await addWorkflows(launchpad, [newWorkflow({ fws, links: { 1: [2] } })]);
  return (await claim(launchpad, worker, dir)) as Claim;
}

/** Firework names and states; how the workflow is linked, by name. */
async function grown({ fireworks, workflows }: LaunchPad) {
  const all = await fireworks.find({}, { sort: { fw_id: 1 } }).toArray();
  const workflow = await workflows.findOne({});
  const inIt = all.filter(({ fw_id }) => workflow?.nodes.includes(fw_id));
  const nameOf = (id: number) => all.find(({ fw_id }) => fw_id === id)?.name;
  return {
    states: inIt.map(({ name, state }) => `${name} ${state}`).sort(),
    links: inIt.map(({ fw_id, name }) => `${name}: ${workflow?.links[fw_id].map(nameOf).sort()}`).sort(),
    pushed: inIt.find(({ name }) => name === 'f2')?.spec.list,
    strays: all.filter((one) => !inIt.includes(one)).map(({ state }) => state),
  };
}

const GROWN = {
  states: ['addition READY', 'detour READY', 'f1 COMPLETED', 'f2 WAITING'],
  links: ['addition: ', 'detour: f2', 'f1: addition,detour,f2', 'f2: '],
  pushed: [1],
};

test('what an action adds is taken by nobody before the workflow names it', async () => {
  await using pad = await testPad();
  await using wire = await wireTo(pad.settings);
  const flown = await flying(wire.launchpad);
  const held = wire.hold('update', 'workflows', 'parent_links.3');
  const ending = complete(wire.launchpad, flown, grows, 'COMPLETED');
  const message = await held;
  expect(await claim(pad.launchpad, worker, dir)).toBeNull();
  message.pass();
  expect(await ending).toBe(true);
  expect(await grown(pad.launchpad)).toEqual({ ...GROWN, strays: [] });
  expect(await violations(pad.launchpad)).toEqual([]);
});

/** The worker dies when a message with `words` is on its way; then a sweeper comes, and breaks its lock. */
async function dieAndSweep(pad: TestPad, ...words: string[]): Promise<void> {
  await using wire = await wireTo(pad.settings);
  const flown = await flying(wire.launchpad);
  const held = wire.hold(...words);
  const ending = complete(wire.launchpad, flown, grows, 'COMPLETED').catch((thrown: unknown) => thrown);
  await held;
  wire.cut();
  expect(await ending).toBeInstanceOf(Error);
  const options = { expirationSecs: 0, rerun: true, refresh: true };
  await detectLostRuns(pad.launchpad, options);
}

test.each<[string, string[], string[]]>([
  ['before anything is added', ['insert', 'fireworks', 'addition'], []],
  [
    'before the workflow names what was added',
    ['update', 'workflows', 'parent_links.3'],
    ['WAITING', 'WAITING'],
  ],
  ['before the Fireworks are changed', ['update', 'fireworks', 'COMPLETED'], []],
])('a worker that dies %s: what it added is there once', async (_, words, strays) => {
  await using pad = await testPad({ lock: { expiresMs: 100 } });
  await dieAndSweep(pad, ...words);
  expect(await grown(pad.launchpad)).toEqual({ ...GROWN, strays });
  expect((await violations(pad.launchpad)).filter((line) => !line.endsWith('is in no workflow'))).toEqual([]);
});

test('one that dies before it gives the lock back has done all', async () => {
  await using pad = await testPad({ lock: { expiresMs: 100 } });
  await dieAndSweep(pad, 'update', 'workflows', '$unset', 'locked_by');
  expect(await grown(pad.launchpad)).toEqual({ ...GROWN, strays: [] });
  // Whoever is next takes the lock over.
  const flown = (await claim(pad.launchpad, worker, dir)) as Claim;
  expect(await complete(pad.launchpad, flown, fwAction(), 'COMPLETED')).toBe(true);
  expect(await violations(pad.launchpad)).toEqual([]);
});

test.each<[string, string[], string[]]>([
  ['before anything is added', ['insert', 'fireworks', 'addition'], []],
  [
    'before the workflow names what was added',
    ['update', 'workflows', 'parent_links.3'],
    ['WAITING', 'WAITING'],
  ],
  ['before the Fireworks are changed', ['update', 'fireworks', 'COMPLETED'], []],
  ['before the lock is given back', ['update', 'workflows', '$unset', 'locked_by'], []],
])('a worker whose LaunchPad was away %s: its second attempt does the rest', async (_, words, strays) => {
  await using pad = await testPad();
  await using wire = await wireTo(pad.settings);
  const flown = await flying(wire.launchpad);
  const held = wire.hold(...words);
  const first = complete(wire.launchpad, flown, grows, 'COMPLETED').catch((thrown: unknown) => thrown);
  await held;
  wire.cut();
  wire.mend();
  expect(await first).toSatisfy(isAway);
  expect(await complete(wire.launchpad, flown, grows, 'COMPLETED')).toBe(true);
  expect(await grown(pad.launchpad)).toEqual({ ...GROWN, strays });
  expect((await violations(pad.launchpad)).filter((line) => !line.endsWith('is in no workflow'))).toEqual([]);
});

test('what a Firework changed in its children is known to the workflow after the second attempt', async () => {
  await using pad = await testPad();
  await using wire = await wireTo(pad.settings);
  const flown = await flying(wire.launchpad);
  const held = wire.hold('update', 'workflows', 'fw_states.2');
  const first = complete(wire.launchpad, flown, fwAction(), 'COMPLETED').catch((thrown: unknown) => thrown);
  await held;
  wire.cut();
  wire.mend();
  expect(await first).toSatisfy(isAway);
  expect(await complete(wire.launchpad, flown, fwAction(), 'COMPLETED')).toBe(true);
  expect((await pad.launchpad.workflows.findOne({}))?.fw_states).toEqual({ 1: 'COMPLETED', 2: 'READY' });
  expect(await violations(pad.launchpad)).toEqual([]);
});
