/** A rocket costs at most 12 commands in 8 round trips, wherever it is in its workflow and however large that is. */
import { expect, test } from 'bun:test';
import { MINUTE } from '../wait.ts';
import { addWorkflows, newWorkflow } from './add.ts';
import { claim } from './claim.ts';
import { costOf } from './command_count.ts';
import { complete } from './complete.ts';
import { violations } from './invariants.ts';
import type { LaunchPad } from './launchpad.ts';
import { type FWAction, fwAction } from './model.ts';
import { testPad } from './test_pad.ts';

/** tests/cost.e2e.ts has the workflow of 10,000. */
const SIZES = (process.env.BOREALIS_COST_SIZES ?? '10,1000').split(',').map(Number);
const worker = { name: 'w', category: '', query: {}, env: {} };

/** One root, many in the middle, one that waits for all of them. */
function fanOutAndIn(size: number) {
  const ids = Array.from({ length: size }, (_, i) => -1 - i);
  const [root, ...rest] = ids as [number, ...number[]];
  const last = rest.pop() as number;
  const links = { [root]: rest, ...Object.fromEntries(rest.map((id) => [id, [last]])), [last]: [] };
  const spec = { _tasks: [{ _fw_name: 'ScriptTask', script: 'true' }] };
  return newWorkflow({ fws: ids.map((fw_id) => ({ fw_id, spec })), links });
}

async function rocketCost(launchpad: LaunchPad, action: FWAction, state: 'COMPLETED' | 'FIZZLED') {
  return await costOf(launchpad.client, async () => {
    const flown = await claim(launchpad, worker, { launchDir: () => '/tmp/home', begins: true });
    if (!flown) throw new Error('nothing is READY');
    expect(await complete(launchpad, flown, action, state)).toBe(true);
  });
}

for (const size of SIZES) {
  test(`a rocket in a workflow of ${size} Fireworks`, async () => {
    // A lock that is held for seconds, on a slow machine, is renewed meanwhile: that is the price of time, not of size.
    const lock = { expiresMs: 10 * MINUTE };
    await using pad = await testPad({ monitorCommands: true, launchIdsAhead: 16, lock });
    const { launchpad } = pad;
    await addWorkflows(launchpad, [fanOutAndIn(size)]);
    const changes = fwAction({ update_spec: { found: 1 }, mod_spec: [{ _push: { all: 2 } }] });
    const rockets: [string, FWAction, 'COMPLETED' | 'FIZZLED'][] = [
      ['the root', fwAction(), 'COMPLETED'],
      ['one in the middle', fwAction({ stored_data: { n: 1 } }), 'COMPLETED'],
      ['one that changes its child', changes, 'COMPLETED'],
      ['one that fails', fwAction(), 'FIZZLED'],
      ['one beside the failed one', fwAction(), 'COMPLETED'],
    ];
    for (const [what, action, state] of rockets) {
      const cost = await rocketCost(launchpad, action, state);
      expect({ what, ...cost, dear: cost.commands.length > 12 || cost.roundTrips > 8 }).toMatchObject({
        what,
        dear: false,
      });
    }
  }, 300_000);
}

test('the last rocket of a workflow, and one alone', async () => {
  await using pad = await testPad({ monitorCommands: true, launchIdsAhead: 16 });
  const { launchpad } = pad;
  await addWorkflows(launchpad, [fanOutAndIn(3)]);
  for (let i = 0; i < 3; i++) {
    const cost = await rocketCost(launchpad, fwAction(), 'COMPLETED');
    expect(cost.commands.length).toBeLessThanOrEqual(12);
    expect(cost.roundTrips).toBeLessThanOrEqual(8);
  }
  expect((await launchpad.workflows.findOne({}))?.state).toBe('COMPLETED');
});

test.each([
  ['4 and 3', true],
  ['6, where the server knows no bulkWrite', false],
])(
  'a worker that flies rocket after rocket: commands for a Firework, alone or among others: %s',
  async (_, bulks) => {
    await using pad = await testPad({ monitorCommands: true, launchIdsAhead: 16 });
    const { launchpad } = pad;
    launchpad.bulks = bulks;
    const spec = { _tasks: [{ _fw_name: 'ScriptTask', script: 'true' }] };
    const costs = async (rockets: number) => {
      const all: number[] = [];
      for (let i = 0; i < rockets; i++)
        all.push(
          (await rocketCost(launchpad, fwAction({ stored_data: { i } }), 'COMPLETED')).commands.length,
        );
      return all.sort((a, b) => a - b);
    };
    await addWorkflows(
      launchpad,
      Array.from({ length: 20 }, () => newWorkflow({ spec })),
    );
    const alone = await costs(20);
    // A MongoDB before 8.0 has none.
    const few = launchpad.bulks ? { alone: 4, many: 3 } : { alone: 6, many: 6 };
    // Now and then ids are reserved.
    expect({ usual: alone[10], most: alone[19] }).toEqual({ usual: few.alone, most: few.alone + 2 });
    await addWorkflows(launchpad, [fanOutAndIn(32)]);
    await costs(1);
    const many = await costs(20);
    // Now and then one looks around for others that are open.
    expect({ usual: many[10], dear: (many[19] as number) > 12 }).toEqual({ usual: few.many, dear: false });
    expect(await violations(launchpad)).toEqual([]);
  },
);
