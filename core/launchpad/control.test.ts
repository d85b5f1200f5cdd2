import { describe, expect, test } from 'bun:test';
import { addWorkflows, newWorkflow } from './add.ts';
import { type Claim, claim } from './claim.ts';
import { complete } from './complete.ts';
import * as control from './control.ts';
import { violations } from './invariants.ts';
import type { LaunchPad } from './launchpad.ts';
import { futureRunExists, runExists } from './look.ts';
import { fwAction } from './model.ts';
import { testPad } from './test_pad.ts';

const worker = { name: 'w', category: '', query: {}, env: {} };
const dir = { launchDir: () => '/tmp/home' };

/** Adds the chain 1 -> 2 -> 3, of which the first is COMPLETED. */
async function chain(launchpad: LaunchPad): Promise<void> {
  const fws = [1, 2, 3].map((fw_id) => ({ fw_id, spec: { _tasks: [] } }));
  await addWorkflows(launchpad, [newWorkflow({ fws, links: { 1: [2], 2: [3] } })]);
  await complete(launchpad, (await claim(launchpad, worker, dir)) as Claim, fwAction(), 'COMPLETED');
}

/** States of the Fireworks, then of the workflow. */
async function states({ fireworks, workflows }: LaunchPad): Promise<string> {
  const all = await fireworks.find({}, { sort: { fw_id: 1 } }).toArray();
  return [...all.map(({ state }) => state), (await workflows.findOne({}))?.state].join(' ');
}

const START = 'COMPLETED READY WAITING RUNNING';
const running = (lp: LaunchPad) => claim(lp, worker, dir);

test.each<[string, ((lp: LaunchPad) => Promise<unknown>)[], string]>([
  ['pause one that is READY', [(lp) => control.pause(lp, 2)], 'COMPLETED PAUSED WAITING PAUSED'],
  ['pause one that waits', [(lp) => control.pause(lp, 3)], 'COMPLETED READY PAUSED PAUSED'],
  ['pause one that has ended', [(lp) => control.pause(lp, 1)], START],
  ['pause one that runs', [running, (lp) => control.pause(lp, 2)], 'COMPLETED RUNNING WAITING RUNNING'],
  ['resume it', [(lp) => control.pause(lp, 2), (lp) => control.resume(lp, 2)], START],
  ['resume what is not paused', [(lp) => control.resume(lp, 2)], START],
  ['defuse one that is READY', [(lp) => control.defuse(lp, 2)], 'COMPLETED DEFUSED WAITING DEFUSED'],
  ['defuse one that runs', [running, (lp) => control.defuse(lp, 2)], 'COMPLETED DEFUSED WAITING DEFUSED'],
  ['defuse one that has ended', [(lp) => control.defuse(lp, 1)], 'DEFUSED WAITING WAITING DEFUSED'],
  ['reignite it', [(lp) => control.defuse(lp, 2), (lp) => control.reignite(lp, 2)], START],
  ['pause all', [(lp) => control.pauseWorkflow(lp, 3)], 'COMPLETED PAUSED PAUSED PAUSED'],
  ['resume all', [(lp) => control.pauseWorkflow(lp, 3), (lp) => control.resumeWorkflow(lp, 1)], START],
  ['defuse all', [(lp) => control.defuseWorkflow(lp, 3)], 'DEFUSED DEFUSED DEFUSED DEFUSED'],
  [
    'defuse all that has not ended',
    [(lp) => control.defuseWorkflow(lp, 3, false)],
    'COMPLETED DEFUSED DEFUSED DEFUSED',
  ],
  [
    'reignite all',
    [(lp) => control.defuseWorkflow(lp, 3), (lp) => control.reigniteWorkflow(lp, 1)],
    'READY WAITING WAITING READY',
  ],
  ['archive', [(lp) => control.archiveWorkflow(lp, 2)], 'ARCHIVED ARCHIVED ARCHIVED ARCHIVED'],
  [
    'archive what runs',
    [running, (lp) => control.archiveWorkflow(lp, 2)],
    'ARCHIVED ARCHIVED ARCHIVED ARCHIVED',
  ],
  [
    'archive twice',
    [(lp) => control.archiveWorkflow(lp, 2), (lp) => control.archiveWorkflow(lp, 2)],
    'ARCHIVED ARCHIVED ARCHIVED ARCHIVED',
  ],
])('%s', async (_, acts, after) => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await chain(launchpad);
  expect(await states(launchpad)).toBe(START);
  for (const act of acts) await act(launchpad);
  expect(await states(launchpad)).toBe(after);
  expect(await violations(launchpad)).toEqual([]);
});

test('results of what was defused while it ran are refused', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await chain(launchpad);
  const flown = (await running(launchpad)) as Claim;
  await control.defuse(launchpad, 2);
  expect(await complete(launchpad, flown, fwAction(), 'COMPLETED')).toBe(false);
  expect(await states(launchpad)).toBe('COMPLETED DEFUSED WAITING DEFUSED');
});

test('specs are changed but of what runs or has ended', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await chain(launchpad);
  await running(launchpad);
  expect(await control.updateSpecs(launchpad, [1, 2, 3], { 'a.b': 1.5 })).toEqual([1, 2]);
  expect((await launchpad.fireworks.findOne({ fw_id: 3 }))?.spec).toEqual({ _tasks: [], a: { b: 1.5 } });
  expect(await control.updateSpecs(launchpad, [3], { $unset: { 'spec.a': '' } }, true)).toEqual([]);
  expect((await launchpad.fireworks.findOne({ fw_id: 3 }))?.spec).toEqual({ _tasks: [] });
});

test('what is in no workflow is told', async () => {
  await using pad = await testPad();
  for (const act of [control.pauseWorkflow, control.archiveWorkflow, control.unlock, control.nodesOf])
    await expect(act(pad.launchpad, 9)).rejects.toThrow('No workflow has a Firework with fw_id 9');
});

describe('a worker that looks for work finds', () => {
  test.each<[string, (lp: LaunchPad) => Promise<unknown>, boolean, boolean]>([
    ['something READY', async () => {}, true, true],
    ['something that waits for what runs', running, false, true],
    ['nothing below what is paused', (lp) => control.pause(lp, 2), false, false],
    [
      'nothing after the last one',
      async (lp) => {
        await complete(lp, (await running(lp)) as Claim, fwAction(), 'COMPLETED');
        await running(lp);
      },
      false,
      false,
    ],
  ])('%s', async (_, act, now, later) => {
    await using pad = await testPad();
    await chain(pad.launchpad);
    await act(pad.launchpad);
    expect(await runExists(pad.launchpad, worker)).toBe(now);
    expect(await futureRunExists(pad.launchpad, worker)).toBe(later);
    expect(await runExists(pad.launchpad, { ...worker, category: 'gpu' })).toBe(false);
  });
});
