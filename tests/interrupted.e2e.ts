/** Fireworks that kill their workers, and Fireworks that are given back: what people see of them, and what Python does. */
import { expect, test } from 'bun:test';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { oneMachine, python, type Running, until } from './one_machine.ts';

/** A worker that is silent for two seconds is taken for dead, and a Firework that lost two runs for a killer. */
const HASTY = {
  FIREWORKER_PING_TIME_SECS: '0.3',
  FIREWORKER_LOST_RUN_SECS: '2',
  FIREWORKER_MAX_LOST_RUNS: '2',
};

const one = (script: string) => ({ fws: [{ spec: { _tasks: [{ _fw_name: 'ScriptTask', script }] } }] });
const ended = (worker: Running) =>
  until('the end of a worker', () => worker.process.exitCode !== null || worker.process.signalCode !== null);

test('a Firework that kills every worker is FIZZLED in the end, and lpad says why', async () => {
  await using machine = await oneMachine();
  const stateOf = async () => (await machine.launchpad.fireworks.findOne({ fw_id: 1 }))?.state;
  await machine.add(one('kill -9 $PPID; sleep 60'));
  await ended(await machine.worker('ann', HASTY));
  await ended(await machine.worker('bob', HASTY));
  const cleo = await machine.worker('cleo', HASTY);
  await until('cleo gives it up', async () => (await stateOf()) === 'FIZZLED');
  const why = '2 runs of this Firework were lost in a row (max_lost_runs): the worker bob on ';
  expect(await machine.lpad('get_fws', '-i', '1', '-d', 'all')).toContain(why);
  expect(await cleo.said()).toContain(`Firework 1 is FIZZLED: ${why}`);
  const launches = await machine.launchpad.launches.find({}, { sort: { launch_id: 1 } }).toArray();
  expect(launches.map(({ fworker, state }) => [fworker.name, state])).toEqual([
    ['ann', 'FIZZLED'],
    ['bob', 'FIZZLED'],
  ]);
  expect(launches.map(({ action }) => action.stored_data._lost)).toEqual([true, true]);
  // It is worth another try when somebody says so.
  await machine.lpad('rerun_fws', '-i', '1');
  await ended(cleo);
  expect(await machine.launchpad.launches.countDocuments({ 'fworker.name': 'cleo' })).toBe(1);
}, 120_000);

test.skipIf(!python)(
  `Python shows what was preempted, and runs it${python ? '' : ' (skipped: no Python with FireWorks)'}`,
  async () => {
    await using machine = await oneMachine();
    const { fireworks } = machine.launchpad;
    const firework = () => fireworks.findOne({ fw_id: 1 });
    await machine.add(one(`test -e ${machine.folder}/go || sleep 60`));
    for (const name of ['ann', 'bob']) {
      const worker = await machine.worker(name);
      await until('its rocket', async () => (await firework())?.state === 'RUNNING');
      worker.process.kill('SIGTERM');
      await ended(worker);
    }
    expect(await firework()).toMatchObject({ state: 'READY', archived_launches: [1, 2], preemptions: 2 });
    const fireworksOf = (program: string, ...words: string[]) =>
      machine.run([
        python as string,
        '-m',
        `fireworks.scripts.${program}`,
        '-l',
        'my_launchpad.yaml',
        ...words,
      ]);
    const shown = await fireworksOf('lpad_run', 'get_fws', '-i', '1', '-d', 'all');
    expect(shown.code).toBe(0);
    const { archived_launches } = JSON.parse(shown.out);
    expect(archived_launches.map((launch: { action: object }) => launch.action)).toEqual(
      [1, 2].map(() => expect.objectContaining({ stored_data: { _message: 'SIGTERM', _preempted: true } })),
    );
    await writeFile(join(machine.folder, 'go'), '');
    await writeFile(join(machine.folder, 'fworker.yaml'), 'name: python\ncategory: ""\nquery: "{}"\n');
    expect((await fireworksOf('rlaunch_run', '-w', 'fworker.yaml', 'singleshot')).code).toBe(0);
    const after = await firework();
    expect(after).toMatchObject({ state: 'COMPLETED', archived_launches: [1, 2] });
    // It wrote the Firework anew: the number can be counted again from the launches.
    expect(after).not.toHaveProperty('preemptions');
  },
  120_000,
);
