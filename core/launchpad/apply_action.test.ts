import { describe, expect, test } from 'bun:test';
import { addWorkflows, newWorkflow } from './add.ts';
import { appendWorkflow } from './apply_action.ts';
import { type Claim, claim } from './claim.ts';
import { complete } from './complete.ts';
import { violations } from './invariants.ts';
import type { LaunchPad } from './launchpad.ts';
import { type FWAction, fwAction } from './model.ts';
import { testPad } from './test_pad.ts';
import type { Doc } from './values.ts';

const worker = { name: 'w', category: '', query: {}, env: {} };
const spec = (more: Doc = {}): Doc => ({ ...more, _tasks: [{ _fw_name: 'ScriptTask', script: 'true' }] });
const one = (name: string): Doc => ({ name, spec: spec() });

/** Adds 1 -> 2, 3 -> 4. */
async function diamond(launchpad: LaunchPad): Promise<void> {
  const fws = [1, 2, 3, 4].map((fw_id) => ({ fw_id, name: `f${fw_id}`, spec: spec() }));
  await addWorkflows(launchpad, [newWorkflow({ fws, links: { 1: [2, 3], 2: [4], 3: [4] } })]);
}

async function fly(launchpad: LaunchPad, action: Partial<FWAction> = {}, fwId?: number): Promise<void> {
  const flown = (await claim(launchpad, worker, { launchDir: () => '/tmp/home', fwId })) as Claim;
  expect(await complete(launchpad, flown, fwAction(action), 'COMPLETED')).toBe(true);
}

/** `name STATE -> children, by name`, in the order of ids. */
async function told({ fireworks, workflows }: LaunchPad): Promise<string[]> {
  const all = await fireworks.find({}, { sort: { fw_id: 1 } }).toArray();
  const workflow = await workflows.findOne({});
  const nameOf = new Map(all.map(({ fw_id, name }) => [fw_id, name]));
  return all.map(({ fw_id, name, state }) =>
    `${name} ${state} -> ${workflow?.links[fw_id].map((id: number) => nameOf.get(id)).sort()}`.trim(),
  );
}
const specOf = async ({ fireworks }: LaunchPad, fwId: number) => {
  const { _tasks, ...rest } = (await fireworks.findOne({ fw_id: fwId }))?.spec ?? {};
  return rest;
};

describe('specs', () => {
  test('of the children are changed, by update_spec first', async () => {
    await using pad = await testPad();
    await diamond(pad.launchpad);
    await fly(pad.launchpad, {
      update_spec: { list: [1], f: 1 },
      mod_spec: [{ _push: { list: 2 } }, { _inc: { f: 0.5 } }],
    });
    for (const id of [2, 3]) expect(await specOf(pad.launchpad, id)).toEqual({ list: [1, 2], f: 1.5 });
    expect(await specOf(pad.launchpad, 4)).toEqual({});
  });

  test('of all that come after are changed with propagate, each once', async () => {
    await using pad = await testPad();
    await diamond(pad.launchpad);
    await fly(pad.launchpad, { mod_spec: [{ _push: { list: 1 } }], propagate: true });
    for (const id of [2, 3, 4]) expect(await specOf(pad.launchpad, id)).toEqual({ list: [1] });
  });

  test('that allow a FIZZLED parent from now on', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await diamond(launchpad);
    await fly(launchpad, { update_spec: { _allow_fizzled_parents: true }, propagate: true });
    const flown = (await claim(launchpad, worker, { launchDir: () => '/tmp/home', fwId: 2 })) as Claim;
    await complete(launchpad, flown, fwAction(), 'FIZZLED');
    await fly(launchpad);
    expect((await launchpad.fireworks.findOne({ fw_id: 4 }))?.state).toBe('READY');
    expect(await violations(launchpad)).toEqual([]);
  });
});

describe('growth', () => {
  test('an addition comes below, a detour between', async () => {
    await using pad = await testPad();
    await diamond(pad.launchpad);
    await fly(pad.launchpad, { additions: [one('addition')], detours: [one('detour')] });
    expect(await told(pad.launchpad)).toEqual([
      'f1 COMPLETED -> addition,detour,f2,f3',
      'f2 WAITING -> f4',
      'f3 WAITING -> f4',
      'f4 WAITING ->',
      'detour READY -> f2,f3',
      'addition READY ->',
    ]);
    expect(await violations(pad.launchpad)).toEqual([]);
  });

  // Python counts the ids of new Fireworks down, so that children come first; people count up.
  test.each([1, -1])(
    'of a workflow, counted by %d, the leaves are waited for and wait for the root',
    async (by) => {
      await using pad = await testPad();
      await diamond(pad.launchpad);
      const dict = {
        fws: [1, 2, 3].map((n) => ({ fw_id: n * by, name: `d${n}`, spec: spec() })),
        links: { [by]: [2 * by, 3 * by] },
      };
      await fly(pad.launchpad, { detours: [dict] });
      const [, , , , ...added] = await told(pad.launchpad);
      expect(added.sort()).toEqual(['d1 READY -> d2,d3', 'd2 WAITING -> f2,f3', 'd3 WAITING -> f2,f3']);
      expect((await told(pad.launchpad))[0]).toBe('f1 COMPLETED -> d1,f2,f3');
      expect(await violations(pad.launchpad)).toEqual([]);
    },
  );

  test('append_wfs: below other parents too, and its roots get what is changed', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await diamond(launchpad);
    await fly(launchpad);
    const append = { workflow: one('appended'), parents: [3], detour: true };
    await fly(launchpad, { append_wfs: [append], update_spec: { k: 1 } }, 2);
    expect(await told(launchpad)).toEqual([
      'f1 COMPLETED -> f2,f3',
      'f2 COMPLETED -> appended,f4',
      'f3 READY -> appended,f4',
      'f4 WAITING ->',
      'appended WAITING -> f4',
    ]);
    expect(await specOf(launchpad, 5)).toEqual({ k: 1 });
    expect(await violations(launchpad)).toEqual([]);
  });
});

test('defuse_children and defuse_workflow', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await diamond(launchpad);
  await fly(launchpad, { defuse_children: true });
  expect(await told(launchpad)).toEqual([
    'f1 COMPLETED -> f2,f3',
    'f2 DEFUSED -> f4',
    'f3 DEFUSED -> f4',
    'f4 WAITING ->',
  ]);
  const flown = await claim(launchpad, worker, { launchDir: () => '/tmp/home' });
  expect(flown).toBeNull();
  expect((await launchpad.workflows.findOne({}))?.state).toBe('DEFUSED');
});

describe('appending', () => {
  test('below what completed it is READY, and gets what that changed, unless it is not asked for', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await diamond(launchpad);
    await fly(launchpad, { update_spec: { k: 1 } });
    expect(await appendWorkflow(launchpad, newWorkflow(one('late')), [1])).toEqual([5]);
    expect(await appendWorkflow(launchpad, newWorkflow(one('plain')), [1], { pull: false })).toEqual([6]);
    expect((await told(launchpad)).slice(4)).toEqual(['late READY ->', 'plain READY ->']);
    expect([await specOf(launchpad, 5), await specOf(launchpad, 6)]).toEqual([{ k: 1 }, {}]);
    expect(await violations(launchpad)).toEqual([]);
  });

  test('what does not fit is refused, and nothing is changed', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await diamond(launchpad);
    await addWorkflows(launchpad, [newWorkflow(one('other'))]);
    await fly(launchpad);
    const before = await told(launchpad).catch(() => null);
    const append = (parents: number[], detour = false) =>
      appendWorkflow(launchpad, newWorkflow(one('no')), parents, { detour });
    await expect(append([])).rejects.toThrow('to at least one Firework');
    await expect(append([1, 5])).rejects.toThrow('Firework 5 is not in this workflow');
    await expect(append([77])).rejects.toThrow('No workflow has a Firework with fw_id 77');
    await expect(append([1], true)).rejects.toThrow('Firework 1 cannot detour: its child 2 is READY already');
    expect(await told(launchpad).catch(() => null)).toEqual(before);
    expect((await launchpad.workflows.findOne({ nodes: 1 }))?.locked).toBeUndefined();
    expect(await launchpad.fireworks.countDocuments()).toBe(5);
  });
});
