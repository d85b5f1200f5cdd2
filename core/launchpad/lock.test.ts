/** Several who change one workflow, and those of them who die with its lock in their hands. */
import { describe, expect, test } from 'bun:test';
import { MINUTE, sleep } from '../wait.ts';
import { addWorkflows, newWorkflow } from './add.ts';
import { claim } from './claim.ts';
import { complete } from './complete.ts';
import { unlock } from './control.ts';
import { violations } from './invariants.ts';
import type { LaunchPad } from './launchpad.ts';
import { releaseLock, takeLock, whenFree } from './lock.ts';
import { fwAction } from './model.ts';
import { OpenWorkflow } from './open_workflow.ts';
import { testPad } from './test_pad.ts';

const worker = { name: 'w', category: '', query: {}, env: {} };
const task = { _fw_name: 'ScriptTask', script: 'true' };

/** `wide` Fireworks and one that waits for all of them. */
function fanIn(wide: number) {
  const ids = Array.from({ length: wide }, (_, i) => i + 1);
  return newWorkflow({
    fws: [0, ...ids].map((fw_id) => ({ fw_id, spec: { _tasks: [task] } })),
    links: Object.fromEntries(ids.map((id) => [id, [0]])),
  });
}

async function flyAll(launchpad: LaunchPad): Promise<number> {
  for (let flown = 0; ; flown++) {
    const flying = await claim(launchpad, worker, { launchDir: () => '/tmp/home' });
    if (!flying) return flown;
    expect(await complete(launchpad, flying, fwAction(), 'COMPLETED')).toBe(true);
  }
}

const lockOf = async ({ workflows }: LaunchPad) => {
  const workflow = await workflows.findOne({}, { projection: { locked: 1, locked_by: 1 } });
  return { locked: workflow?.locked, by: workflow?.locked_by };
};

test('eight workers on one workflow: each Firework flies once, and nothing is overwritten', async () => {
  await using pad = await testPad();
  await addWorkflows(pad.launchpad, [fanIn(40)]);
  const pads = await Promise.all(Array.from({ length: 8 }, () => pad.another()));
  const flown = await Promise.all(pads.map(flyAll));
  // The last one of the many makes the join READY; whoever looks then flies it.
  const rest = await flyAll(pad.launchpad);
  expect(flown.reduce((sum, n) => sum + n, rest)).toBe(41);
  expect(await violations(pad.launchpad)).toEqual([]);
  expect((await pad.launchpad.workflows.findOne({}))?.state).toBe('COMPLETED');
});

test('eight workers on one workflow hardly ever ask for its lock', async () => {
  await using pad = await testPad({ monitorCommands: true });
  await addWorkflows(pad.launchpad, [fanIn(120)]);
  const pads = await Promise.all(Array.from({ length: 8 }, () => pad.another()));
  let asked = 0;
  for (const { client } of pads)
    client.on('commandStarted', ({ command }) => {
      if (command.update?.$set?.locked === true) asked++;
    });
  await Promise.all(pads.map(flyAll));
  await flyAll(pad.launchpad);
  expect((await pad.launchpad.workflows.findOne({}))?.state).toBe('COMPLETED');
  expect(await violations(pad.launchpad)).toEqual([]);
  // The last one of the many has to, and the join; some of the last ones may. Before they waited to be free of it: 300 and more.
  expect(asked).toBeLessThan(40);
});

describe('a write that waits until nobody holds the lock', () => {
  const held = { $set: { locked: true } };
  const free = { $unset: { locked: '' } } as const;
  const patienceMs = 300;

  test('is made as soon as that is so', async () => {
    await using pad = await testPad({ lock: { patienceMs: 10 * MINUTE } });
    const { launchpad } = pad;
    await addWorkflows(launchpad, [fanIn(1)]);
    await launchpad.workflows.updateOne({}, held);
    const states: unknown[] = [];
    const writing = whenFree(launchpad, {}, async () => {
      states.push((await lockOf(launchpad)).locked);
      return 'written';
    });
    await sleep(100);
    expect(states).toEqual([]);
    await launchpad.workflows.updateOne({}, free);
    expect(await writing).toBe('written');
    expect(states).toEqual([undefined]);
  });

  test('is tried once more when it is refused: somebody may have taken the lock just before', async () => {
    await using pad = await testPad({ lock: { patienceMs: 10 * MINUTE } });
    const { launchpad } = pad;
    await addWorkflows(launchpad, [fanIn(1)]);
    const answers = [null, 'written'];
    expect(await whenFree(launchpad, {}, async () => answers.shift() ?? null)).toBe('written');
    const refusals = [null, null, 'too late'];
    expect(await whenFree(launchpad, {}, async () => refusals.shift() ?? null)).toBeNull();
    expect(refusals).toEqual(['too late']);
  });

  test.each<[string, (launchpad: LaunchPad) => Promise<unknown>]>([
    ['while the lock is held for longer than it has patience', (lp) => lp.workflows.updateOne({}, held)],
    ['when the workflow is gone', (lp) => lp.workflows.deleteMany({})],
  ])('is never made %s', async (_, act) => {
    await using pad = await testPad({ lock: { patienceMs } });
    await addWorkflows(pad.launchpad, [fanIn(1)]);
    await act(pad.launchpad);
    const never = async () => {
      throw new Error('it was made');
    };
    expect(await whenFree(pad.launchpad, {}, never)).toBeNull();
  });
});

test('a lock that Python holds is waited for', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await addWorkflows(launchpad, [fanIn(1)]);
  const flying = await claim(launchpad, worker, { launchDir: () => '/tmp/home' });
  if (!flying) throw new Error('nothing is READY');
  await launchpad.workflows.updateOne({}, { $set: { locked: true } });
  let ended = false;
  const ending = complete(launchpad, flying, fwAction(), 'COMPLETED').finally(() => {
    ended = true;
  });
  await sleep(200);
  expect(ended).toBe(false);
  await launchpad.workflows.updateOne({}, { $unset: { locked: '' } });
  expect(await ending).toBe(true);
  expect(await lockOf(launchpad)).toEqual({ locked: undefined, by: undefined });
  expect(await violations(launchpad)).toEqual([]);
});

test('a lock whose holder died is broken after a while, and the workflow repaired from its Fireworks', async () => {
  await using pad = await testPad({ lock: { expiresMs: 150 } });
  const { launchpad } = pad;
  await addWorkflows(launchpad, [fanIn(2)]);
  const flying = await claim(launchpad, worker, { launchDir: () => '/tmp/home' });
  if (!flying) throw new Error('nothing is READY');
  const dead = await pad.another();
  await takeLock(dead, flying.fwId, { _id: 1 });
  // What the dead one had done: a Firework is held, and the workflow does not know it yet.
  const other = await launchpad.fireworks.findOneAndUpdate({ state: 'READY' }, { $set: { state: 'PAUSED' } });
  expect(await complete(launchpad, flying, fwAction(), 'COMPLETED')).toBe(true);
  const workflow = await launchpad.workflows.findOne({});
  expect(workflow?.fw_states[other?.fw_id]).toBe('PAUSED');
  expect(workflow?.state).toBe('PAUSED');
  expect(await violations(launchpad)).toEqual([]);
});

test('a holder whose lock was broken does not write over what came after', async () => {
  await using pad = await testPad({ lock: { expiresMs: 150 } });
  const { launchpad } = pad;
  await addWorkflows(launchpad, [fanIn(2)]);
  // It renews its lock too seldom for the others: as if its machine had been frozen.
  const slow = await pad.another({ lock: { expiresMs: 60_000 } });
  const [first, second] = [
    await claim(slow, worker, { launchDir: () => '/tmp/home' }),
    await claim(launchpad, worker, { launchDir: () => '/tmp/home' }),
  ];
  if (!first || !second) throw new Error('nothing is READY');
  const open = await OpenWorkflow.open(slow, first.fwId);
  expect(await complete(launchpad, second, fwAction(), 'COMPLETED')).toBe(true);
  // It wakes up with what it read before: its own Firework is written, the rest is set right from the Fireworks.
  await open.loadNodes([first.fwId]);
  open.setState(first.fwId, 'PAUSED');
  await open.commit(first.fwId);
  expect((await launchpad.workflows.findOne({}))?.fw_states).toEqual({
    [first.fwId]: 'PAUSED',
    [second.fwId]: 'COMPLETED',
    1: 'WAITING',
  });
  expect(await lockOf(launchpad)).toEqual({ locked: undefined, by: undefined });
});

test('a holder that takes long and lives is waited for', async () => {
  await using pad = await testPad({ lock: { expiresMs: 200 } });
  const { launchpad } = pad;
  await addWorkflows(launchpad, [fanIn(1)]);
  const slow = await OpenWorkflow.open(await pad.another(), 1);
  const order: string[] = [];
  const waiter = takeLock(launchpad, 1, { _id: 1 }).then((lock) => {
    order.push(lock.broken ? 'broken' : 'waited');
    return lock;
  });
  await sleep(700);
  order.push('given back');
  await slow.abandon();
  const { workflow, lockedBy } = await waiter;
  expect(order).toEqual(['given back', 'waited']);
  await releaseLock(launchpad, workflow._id, lockedBy);
});

test('a connection takes its own lock over that it could not give back', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await addWorkflows(launchpad, [fanIn(1)]);
  const { lockedBy } = await takeLock(launchpad, 1, { _id: 1 });
  // The server was away when it was to be given back.
  launchpad.locks.live.delete(lockedBy);
  const again = await takeLock(launchpad, 1, { _id: 1 });
  expect(again.broken).toBe(true);
  await releaseLock(launchpad, again.workflow._id, again.lockedBy);
  expect(await lockOf(launchpad)).toEqual({ locked: undefined, by: undefined });
});

test('unlock takes any lock away and repairs', async () => {
  await using pad = await testPad();
  const { launchpad } = pad;
  await addWorkflows(launchpad, [fanIn(1)]);
  await launchpad.workflows.updateOne({}, { $set: { locked: true, 'fw_states.1': 'COMPLETED' } });
  await unlock(launchpad, 1);
  expect(await lockOf(launchpad)).toEqual({ locked: undefined, by: undefined });
  expect(await violations(launchpad)).toEqual([]);
});

test('a Firework that is in no workflow is told', async () => {
  await using pad = await testPad();
  await expect(takeLock(pad.launchpad, 99, {})).rejects.toThrow('No workflow has a Firework with fw_id 99');
});
