/** Workers and the LaunchPad die in the middle of work: all of it completes, and no task is running twice at once. */
import { expect, test } from 'bun:test';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type LaunchPad, numberOf } from '../core/launchpad/index.ts';
import { exclusiveStep, linesOf } from './exclusive_step.ts';
import { faultsIn } from './invariants.ts';
import { type OneMachine, oneMachine, type Running, until } from './one_machine.ts';

/** A worker that is silent for two seconds is taken for dead. */
const HASTY = { FIREWORKER_PING_TIME_SECS: '0.3', FIREWORKER_LOST_RUN_SECS: '2' };

/** Steps that take so many seconds, and one that waits for all of them. */
const fanIn = (seconds: readonly number[]) => ({
  fws: [
    ...seconds.map((secs, i) => exclusiveStep(i + 1, secs)),
    { fw_id: 0, name: 'after all', spec: { _tasks: [{ _fw_name: 'ScriptTask', script: 'true' }] } },
  ],
  links: Object.fromEntries(seconds.map((_, i) => [i + 1, [0]])),
});

/** The RUNNING launch of `worker`; null when it has none. */
const runningOn = (launchpad: LaunchPad, worker: string) =>
  launchpad.launches.findOne({ 'fworker.name': worker, state: 'RUNNING' });

/** Waits until the tasks of a launch of `worker` have begun, and returns that launch. */
async function midFlight(machine: OneMachine, worker: string): Promise<{ fwId: number; launchId: number }> {
  const flying = async () => {
    const launch = await runningOn(machine.launchpad, worker);
    if (!launch) return null;
    const firework = await machine.launchpad.fireworks.findOne({ fw_id: launch.fw_id });
    const began = await linesOf(machine, `began.${firework?.name.replace('step ', '')}`);
    return began.includes(launch.launch_dir) ? launch : null;
  };
  await until(`${worker} flies`, async () => (await flying()) !== null);
  const launch = await runningOn(machine.launchpad, worker);
  return { fwId: numberOf(launch?.fw_id), launchId: numberOf(launch?.launch_id) };
}

/** The process groups of tasks whose working folder is below `folder`. */
async function processGroupsIn(folder: string): Promise<number[]> {
  const groups = new Set<number>();
  for (const pid of await readdir('/proc')) {
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    if (!cwd.startsWith(`${folder}/`)) continue;
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    // After the name in parentheses: state, parent, group.
    groups.add(Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]));
  }
  return [...groups];
}

const completed = (machine: OneMachine) =>
  until('the workflow completes', async () => {
    const workflow = await machine.launchpad.workflows.findOne();
    if (workflow?.state === 'FIZZLED') throw new Error('the workflow is FIZZLED');
    return workflow?.state === 'COMPLETED';
  });

async function lostLaunchIsHistory(machine: OneMachine, lost: { fwId: number; launchId: number }) {
  const firework = await machine.launchpad.fireworks.findOne({ fw_id: lost.fwId });
  expect(firework?.archived_launches.map(numberOf)).toEqual([lost.launchId]);
  const launch = await machine.launchpad.launches.findOne({ launch_id: lost.launchId });
  expect(launch).toMatchObject({ state: 'FIZZLED', action: { stored_data: { _lost: true } } });
}

async function threeWorkers(machine: OneMachine): Promise<[Running, Running, Running]> {
  return await Promise.all([
    machine.worker('ann', HASTY),
    machine.worker('bob', HASTY),
    machine.worker('cleo', HASTY),
  ]);
}

test('a worker is killed in the middle of a rocket: another finds the lost run and flies it again', async () => {
  await using machine = await oneMachine();
  await machine.add(fanIn(Array.from({ length: 9 }, () => 1)));
  const [ann] = await threeWorkers(machine);
  const lost = await midFlight(machine, 'ann');
  ann.process.kill('SIGKILL');
  await completed(machine);
  expect(await linesOf(machine, 'twice')).toEqual([]);
  expect(await faultsIn(machine.launchpad)).toEqual([]);
  await lostLaunchIsHistory(machine, lost);
  const again = await machine.launchpad.launches.findOne({ fw_id: lost.fwId, state: 'COMPLETED' });
  expect(['bob', 'cleo']).toContain(again?.fworker.name);
  // The killed task went with its worker: what it wanted to write at its end was never written.
  const ended = (
    await Promise.all([1, 2, 3, 4, 5, 6, 7, 8, 9].map((id) => linesOf(machine, `ended.${id}`)))
  ).flat();
  expect(ended).toHaveLength(9);
}, 240_000);

test('the LaunchPad is killed and comes back: workers go on, nothing is lost', async () => {
  await using machine = await oneMachine();
  // Some steps end while it is away, some after it has come back; it is away for longer than makes a run lost.
  const steps = [...Array.from({ length: 6 }, () => 5), ...Array.from({ length: 6 }, () => 1)];
  await machine.add(fanIn(steps));
  const workers = await threeWorkers(machine);
  for (let round = 0; round < 2; round++) {
    await midFlight(machine, 'bob');
    await machine.killServer();
    await Bun.sleep(3500);
    await machine.startServer();
  }
  await completed(machine);
  expect(await linesOf(machine, 'twice')).toEqual([]);
  expect(await faultsIn(machine.launchpad)).toEqual([]);
  expect(workers.map(({ process: { exitCode } }) => exitCode)).toEqual([null, null, null]);
  for (const worker of workers)
    expect(await worker.said()).not.toContain('Reran Fireworks whose worker died');
}, 240_000);

test('a machine that froze past the lost-run time drops its results when it goes on', async () => {
  await using machine = await oneMachine();
  // A sleep goes on while it is frozen: ann's must not be over as soon as she wakes up.
  const seconds = '$(case $PWD in */ann/*) echo 120 ;; *) echo 1 ;; esac)';
  await machine.add({ fws: [exclusiveStep(1, seconds)], links: {} });
  const ann = await machine.worker('ann', HASTY);
  const lost = await midFlight(machine, 'ann');
  const tasks = await processGroupsIn(join(machine.folder, 'ann', 'launches'));
  expect(tasks).toHaveLength(1);
  const freeze = (signal: 'SIGSTOP' | 'SIGCONT') => {
    ann.process.kill(signal);
    for (const group of tasks) process.kill(-group, signal);
  };
  freeze('SIGSTOP');
  const bob = await machine.worker('bob', HASTY);
  await until('bob flies it again', async () => (await runningOn(machine.launchpad, 'bob')) !== null);
  freeze('SIGCONT');
  await until('ann knows', async () => (await ann.said()).includes('was taken from this worker'));
  expect(await processGroupsIn(join(machine.folder, 'ann', 'launches'))).toEqual([]);
  await completed(machine);
  await lostLaunchIsHistory(machine, lost);
  expect(await linesOf(machine, 'ended.1')).toEqual([expect.stringContaining('/bob/')]);
  const launch = await machine.launchpad.launches.findOne({ state: 'COMPLETED' });
  expect(launch?.fworker.name).toBe('bob');
  expect(await faultsIn(machine.launchpad)).toEqual([]);
  expect(ann.process.exitCode).toBeNull();
  expect(await bob.said()).toContain('Reran Fireworks whose worker died: 1');
}, 240_000);
