/** Python FireWorks makes workflows; its rlaunch and two of our workers run them together; both lpads agree on the end. */
import { expect, test } from 'bun:test';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { SECOND } from '../core/wait.ts';
import { faultsIn } from './invariants.ts';
import { type OneMachine, oneMachine, python, until } from './one_machine.ts';

const scripts = resolve(import.meta.dir, 'python');

/** How many workflows end so, and Fireworks of that name. */
async function counts(machine: OneMachine, kind: 'workflows' | 'fireworks'): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for await (const { name, state } of machine.launchpad[kind].find(
    {},
    { projection: { name: 1, state: 1 } },
  )) {
    const key = `${kind === 'workflows' ? name.replace(/ on .*/, '') : name.replace(/ \d+$/, '')} ${state}`;
    found[key] = (found[key] ?? 0) + 1;
  }
  return found;
}

/** Python's rlaunch, as a person would leave it running. */
async function rlaunch(machine: OneMachine, env: Record<string, string>): Promise<void> {
  await writeFile(join(machine.folder, 'fworker.yaml'), 'name: python\ncategory: ""\nquery: "{}"\n');
  const files = ['-l', '../my_launchpad.yaml', '-w', '../fworker.yaml'];
  const program = [python as string, '-m', 'fireworks.scripts.rlaunch_run', ...files];
  const running = await machine.start(
    'python',
    [...program, 'rapidfire', '--nlaunches', 'infinite', '--sleep', '1'],
    env,
  );
  await until('rlaunch is up', async () => (await running.said()).includes('Sleeping for'));
}

test.skipIf(!python)(
  `a workflow of Python's, run by Python's rlaunch and two of our workers${python ? '' : ' (skipped: no Python with FireWorks)'}`,
  async () => {
    await using machine = await oneMachine();
    const env = { FIREWORKER_PYTHON: python as string, PYTHONPATH: scripts };
    await Promise.all([machine.worker('ann', env), machine.worker('bob', env), rlaunch(machine, env)]);
    const add = [python as string, join(scripts, 'side_by_side.py'), 'my_launchpad.yaml', 'ann'];
    const added = await machine.run(add);
    expect([added.code, added.err]).toEqual([0, '']);

    const ends = {
      'measuring COMPLETED': 1,
      'growing COMPLETED': 2,
      'forgiving COMPLETED': 2,
      'failing FIZZLED': 2,
    };
    // Ten seconds; on a machine with much else to do, longer.
    const ended = async () => Bun.deepEquals(await counts(machine, 'workflows'), ends);
    await until('all workflows end', ended, 90 * SECOND);
    expect(await counts(machine, 'fireworks')).toEqual({
      ...{
        'begin COMPLETED': 1,
        'measure COMPLETED': 12,
        'say COMPLETED': 12,
        'merge COMPLETED': 1,
        'report COMPLETED': 1,
      },
      ...{ 'grow COMPLETED': 2, 'grow by file COMPLETED': 2, 'after growth COMPLETED': 2 },
      ...{ 'detour COMPLETED': 4, 'added first COMPLETED': 4, 'added second COMPLETED': 4 },
      ...{
        'fails FIZZLED': 2,
        'goes on COMPLETED': 2,
        'last COMPLETED': 2,
        'raises FIZZLED': 2,
        'never WAITING': 2,
      },
    });
    expect(await faultsIn(machine.launchpad)).toEqual([]);
    expect((await machine.launchpad.launches.distinct('fworker.name')).sort()).toEqual([
      'ann',
      'bob',
      'python',
    ]);

    const { fireworks, launches } = machine.launchpad;
    const report = await fireworks.findOne({ name: 'report' });
    expect(report?.spec.total).toBe(144);
    const said = await launches.findOne({ launch_id: report?.launches[0] });
    expect(said?.action.stored_data).toMatchObject({ stdout: '144', returncode: 0 });
    for await (const after of fireworks.find({ name: 'after growth' })) expect(after.spec.grown).toBe(true);
    for await (const last of fireworks.find({ name: 'last' })) expect(last.spec.parents).toEqual(['FIZZLED']);

    for (const command of ['get_wflows', 'get_fws']) {
      const line = ['-l', 'my_launchpad.yaml', command, '-d', 'all'];
      const theirs = await machine.run([python as string, '-m', 'fireworks.scripts.lpad_run', ...line]);
      // Its log goes to stdout too, line by line before the data.
      const data = theirs.out.slice(theirs.out.search(/^\[$/m));
      expect(JSON.parse(await machine.lpad(command, '-d', 'all'))).toEqual(JSON.parse(data));
    }
  },
  120_000,
);
