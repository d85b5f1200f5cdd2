import { expect, test } from 'bun:test';
import { addWorkflows, newWorkflow } from './add.ts';
import { type Claim, claim } from './claim.ts';
import { complete } from './complete.ts';
import { violations } from './invariants.ts';
import type { LaunchPad } from './launchpad.ts';
import { type FWAction, fwAction } from './model.ts';
import { rerun } from './rerun.ts';
import { testPad } from './test_pad.ts';
import type { Doc } from './values.ts';

const worker = { name: 'w', category: '', query: {}, env: {} };
const dir = { launchDir: () => '/tmp/home' };
const _tasks = [{ _fw_name: 'ScriptTask', script: 'true' }];

/** `parents` Fireworks, 1 and on, and one that waits for all of them and allows them to be FIZZLED. */
async function join(launchpad: LaunchPad, parents: number): Promise<number> {
  const ids = Array.from({ length: parents }, (_, i) => i + 1);
  const last = parents + 1;
  const fws = [
    ...ids.map((fw_id) => ({ fw_id, name: `p${fw_id}`, spec: { _tasks } })),
    { fw_id: last, name: 'child', spec: { _tasks, _allow_fizzled_parents: true } },
  ];
  const links = Object.fromEntries(ids.map((id) => [id, [last]]));
  await addWorkflows(launchpad, [newWorkflow({ fws, links })]);
  return last;
}

async function fly(launchpad: LaunchPad, state: 'COMPLETED' | 'FIZZLED', action: FWAction): Promise<void> {
  const flown = (await claim(launchpad, worker, dir)) as Claim;
  expect(await complete(launchpad, flown, action, state)).toBe(true);
}

const child = async ({ fireworks }: LaunchPad, fwId: number) => await fireworks.findOne({ fw_id: fwId });

test('a child that allows it is told of its FIZZLED parents once all have ended', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  const last = await join(launchpad, 3);
  await fly(launchpad, 'FIZZLED', fwAction({ stored_data: { why: 1.5 }, exit: true }));
  await fly(launchpad, 'COMPLETED', fwAction());
  expect(await child(launchpad, last)).toMatchObject({ state: 'WAITING' });
  expect((await child(launchpad, last))?.spec._fizzled_parents).toBeUndefined();
  await rerun(launchpad, 2);
  await fly(launchpad, 'FIZZLED', fwAction({ exit: true }));
  await fly(launchpad, 'COMPLETED', fwAction());
  const firework = await child(launchpad, last);
  expect(firework?.state).toBe('READY');
  const [first, second, ...rest] = firework?.spec._fizzled_parents ?? [];
  expect(rest).toEqual([]);
  expect(first).toMatchObject({ fw_id: 1, name: 'p1', state: 'FIZZLED', spec: { _tasks } });
  expect(first.launches).toMatchObject([{ launch_id: 1, action: { stored_data: { why: 1.5 } } }]);
  expect('archived_launches' in first || 'time_start' in first.launches[0] || '_id' in first).toBe(false);
  expect(second).toMatchObject({
    fw_id: 2,
    launches: [{ launch_id: 3 }],
    archived_launches: [{ launch_id: 2 }],
  });
  expect((await launchpad.workflows.findOne({}))?.state).toBe('RUNNING');
  expect(await violations(launchpad)).toEqual([]);
});

test('a child whose parents all completed is told nothing', async () => {
  await using pad = await testPad();
  const last = await join(pad.launchpad, 2);
  for (let i = 0; i < 2; i++) await fly(pad.launchpad, 'COMPLETED', fwAction());
  expect((await child(pad.launchpad, last))?.spec).toEqual({ _tasks, _allow_fizzled_parents: true });
});

test('parents with more to tell than a document holds are told of by name, and what is in GridFS stays there', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  const last = await join(launchpad, 4);
  const text = (mib: number) =>
    fwAction({ stored_data: { text: 'x'.repeat(mib * 1024 * 1024) }, exit: true });
  for (const mib of [16, 7, 7, 1]) await fly(launchpad, 'FIZZLED', text(mib));
  const firework = await child(launchpad, last);
  expect(firework?.state).toBe('READY');
  const reports = firework?.spec._fizzled_parents as Doc[];
  expect(
    reports.map(({ launches }) =>
      ((launches as Doc[]) ?? []).map(({ action }) => Object.keys(action as Doc)[0]),
    ),
  ).toEqual([['gridfs_id'], ['stored_data'], [], ['stored_data']]);
  expect(reports[2]).toEqual({ fw_id: 3, name: 'p3', state: 'FIZZLED' });
  expect(await violations(launchpad)).toEqual([]);
});
