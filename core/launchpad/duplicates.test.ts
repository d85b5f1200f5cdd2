import { expect, test } from 'bun:test';
import { addWorkflows, newWorkflow } from './add.ts';
import { type Claim, claim } from './claim.ts';
import { complete } from './complete.ts';
import { archiveWorkflow } from './control.ts';
import { violations } from './invariants.ts';
import type { LaunchPad } from './launchpad.ts';
import { fwAction } from './model.ts';
import { reserve } from './reservations.ts';
import { testPad } from './test_pad.ts';
import type { Doc } from './values.ts';

const worker = { name: 'w', category: '', query: {}, env: {} };
const dir = { launchDir: () => '/tmp/home' };
const exact = { _fw_name: 'DupeFinderExact' };

const add = (launchpad: LaunchPad, ...specs: Doc[]) =>
  addWorkflows(
    launchpad,
    specs.map((spec) =>
      newWorkflow({ spec: { ...spec, _tasks: [{ _fw_name: 'ScriptTask', script: 'true' }] } }),
    ),
  );
const take = (launchpad: LaunchPad) => claim(launchpad, worker, dir);
const all = async ({ fireworks }: LaunchPad) =>
  (await fireworks.find({}, { sort: { fw_id: 1 } }).toArray()).map(({ state, launches }) =>
    [state, ...launches].join(' '),
  );

test('an equal one that ended is not run again: its launch is shared', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await add(launchpad, { _dupefinder: exact, k: 1 });
  await complete(launchpad, (await take(launchpad)) as Claim, fwAction(), 'COMPLETED');
  await add(launchpad, { _dupefinder: exact, k: 1 }, { _dupefinder: exact, k: 2 });
  // The next one is tried in the same claim.
  expect((await take(launchpad))?.fwId).toBe(3);
  expect(await all(launchpad)).toEqual(['COMPLETED 1', 'COMPLETED 1', 'RUNNING 2']);
  expect((await launchpad.workflows.findOne({ nodes: 2 }))?.state).toBe('COMPLETED');
  expect(await violations(launchpad)).toEqual([]);
});

test.each<['COMPLETED' | 'FIZZLED', string[]]>([
  ['COMPLETED', ['COMPLETED 1', 'COMPLETED 1']],
  ['FIZZLED', ['FIZZLED 1', 'FIZZLED 1']],
])('one that shares a launch which runs ends with it: %s', async (state, ended) => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await add(launchpad, { _dupefinder: exact }, { _dupefinder: exact });
  const flown = (await take(launchpad)) as Claim;
  expect(await take(launchpad)).toBeNull();
  expect(await all(launchpad)).toEqual(['RUNNING 1', 'RUNNING 1']);
  await complete(launchpad, flown, fwAction(), state);
  expect(await all(launchpad)).toEqual(ended);
  expect(await violations(launchpad)).toEqual([]);
});

test('one that shares a reservation runs when that starts', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await add(launchpad, { _dupefinder: exact }, { _dupefinder: exact });
  await reserve(launchpad, worker, dir);
  expect(await take(launchpad)).toBeNull();
  expect(await all(launchpad)).toEqual(['RESERVED 1', 'RESERVED 1']);
  await claim(launchpad, worker, { ...dir, fwId: 1 });
  expect(await all(launchpad)).toEqual(['RUNNING 1', 'RUNNING 1']);
  expect(await violations(launchpad)).toEqual([]);
});

test.each<[string, Doc, Doc]>([
  [
    'a spec differs in what a Firetask does not read',
    { _dupefinder: exact, _priority: 1 },
    { _dupefinder: exact },
  ],
  ['it has no duplicate finder', { _dupefinder: exact }, {}],
  [
    'its duplicate finder is Python code',
    { _dupefinder: { _fw_name: 'my.Finder' } },
    { _dupefinder: { _fw_name: 'my.Finder' } },
  ],
])('it runs when %s', async (_, first, second) => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await add(launchpad, first, second);
  await take(launchpad);
  await take(launchpad);
  expect(await all(launchpad)).toEqual(['RUNNING 1', 'RUNNING 2']);
});

test('what was archived has no launch to share', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await add(launchpad, { _dupefinder: exact });
  await complete(launchpad, (await take(launchpad)) as Claim, fwAction(), 'COMPLETED');
  await archiveWorkflow(launchpad, 1);
  await add(launchpad, { _dupefinder: exact });
  expect((await take(launchpad))?.launchId).toBe(2);
});
