/**
 * Offline rockets: Python's qlaunch reserves and submits, `rlaunch` or our fireworker runs the job without a LaunchPad, and
 * either lpad brings the diary in. All ends are the same. The queue is a shell script that runs what it is given at once.
 */
import { expect, test } from 'bun:test';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Doc, LaunchPad, launchPadSettings } from '../core/launchpad/index.ts';
import { normal, type Snapshot, snapshot } from '../core/launchpad/recorded/snapshot.ts';
import { MINUTE } from '../core/wait.ts';
import { type OneMachine, oneMachine, python } from './one_machine.ts';

const dist = resolve(import.meta.dir, '..', 'dist');
const scripts = resolve(import.meta.dir, 'python');

const script = (text: string, more: Doc = {}): Doc => ({ _fw_name: 'ScriptTask', script: text, ...more });

const WORKFLOW = {
  fws: [
    {
      fw_id: -1,
      name: 'one',
      spec: {
        _tasks: [
          script('echo out; echo line > log', { store_stdout: true }),
          { _fw_name: '{{features.tasks.Changes}}' },
          script('true'),
        ],
        list: ['x'],
        _trackers: [{ filename: 'log', nlines: 5 }],
        _files_out: { log: 'l*' },
      },
    },
    {
      fw_id: -2,
      name: 'two',
      spec: { _tasks: [script('cat log got'), script('exit 3')], _files_in: { log: 'got' }, list: ['y'] },
    },
  ],
  links: { '-1': [-2] },
  name: 'offline',
  metadata: {},
};

interface Side {
  name: string;
  /** What the queue's job runs. */
  rocketLaunch: string;
  lpad: string[];
}
const SIDES: Side[] = [
  {
    name: 'python',
    rocketLaunch: `${python} -m fireworks.scripts.rlaunch_run -w my_fworker.yaml singleshot --offline`,
    lpad: [python ?? '', '-m', 'fireworks.scripts.lpad_run'],
  },
  {
    name: 'ours',
    rocketLaunch: `${join(dist, 'fireworker')} singleshot --offline`,
    lpad: [join(dist, 'borealisctl'), 'lpad'],
  },
  {
    name: 'ours_by_python',
    rocketLaunch: `${join(dist, 'fireworker')} singleshot --offline`,
    lpad: [python ?? '', '-m', 'fireworks.scripts.lpad_run'],
  },
];

interface End {
  documents: Snapshot;
  files: Record<string, unknown>[];
}

/** Flies the workflow on one side, and tells how everything ended. */
async function flown(machine: OneMachine, side: Side): Promise<End> {
  const folder = join(machine.folder, side.name);
  await mkdir(join(folder, 'bin'), { recursive: true });
  const put = (name: string, content: unknown) =>
    writeFile(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
  await put('my_launchpad.yaml', {
    host: '127.0.0.1',
    port: machine.port,
    name: side.name,
    strm_lvl: 'ERROR',
  });
  await put('my_fworker.yaml', { name: 'w', category: '', query: '{}', env: { a: 1 } });
  await put('workflow.json', WORKFLOW);
  await put('job.sh', 'cp $${worker} my_fworker.yaml\n$${rocket_launch}\n');
  await put('my_qadapter.yaml', {
    _fw_name: 'CommonAdapter',
    _fw_q_type: 'SLURM',
    _fw_template_file: join(folder, 'job.sh'),
    worker: join(folder, 'my_fworker.yaml'),
    rocket_launch: side.rocketLaunch,
  });
  await put('bin/sbatch', '#!/bin/sh\nsh "$1" > job.out 2>&1 || exit\necho "Submitted batch job 17"\n');
  await chmod(join(folder, 'bin/sbatch'), 0o755);
  const env = {
    PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
    PYTHONPATH: scripts,
    PYTHONDONTWRITEBYTECODE: '1',
    FIREWORKER_PYTHON: python as string,
  };
  const run = async (...argv: string[]) => {
    const ran = await machine.run(argv, { cwd: folder, env });
    expect({ argv, code: ran.code, told: ran.code === 0 ? '' : ran.out + ran.err }).toEqual({
      argv,
      code: 0,
      told: '',
    });
  };
  const lpad = (...words: string[]) => run(...side.lpad, '-l', 'my_launchpad.yaml', ...words);
  const settings = launchPadSettings({ host: '127.0.0.1', port: machine.port, name: side.name }, 'test');
  await using launchpad = await LaunchPad.open(settings);
  await launchpad.reset();
  await run(
    python as string,
    '-m',
    'fireworks.scripts.lpad_run',
    '-l',
    'my_launchpad.yaml',
    'add',
    'workflow.json',
  );
  const folders: string[] = [];
  for (const n of ['first', 'second']) {
    await mkdir(join(folder, n));
    folders.push(join(folder, n));
    const files = ['-l', 'my_launchpad.yaml', '-w', 'my_fworker.yaml', '-q', 'my_qadapter.yaml'];
    await run(
      python as string,
      '-m',
      'fireworks.scripts.qlaunch_run',
      '-r',
      ...files,
      '--launch_dir',
      n,
      'singleshot',
    );
    await lpad('recover_offline');
  }
  const { fw_id_assigner: _, ...documents } = await snapshot(launchpad);
  return { documents, files: await Promise.all(folders.map(filesIn)) };
}

/** What is in a launch folder: the diary as what it means, the rest as it is. What the queue writes is its own. */
async function filesIn(folder: string): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const name of await readdir(folder)) {
    if (['FW.json', 'FW_submit.script', 'job.out', 'my_fworker.yaml'].includes(name)) continue;
    const text = await readFile(join(folder, name), 'utf8');
    found[name] = name.endsWith('.json') ? normal(JSON.parse(text)) : text;
  }
  return found;
}

/** Python's recover_offline loses the checkpoint, and what trackers saw, of a run that has ended already. */
function forgetful(end: End | undefined): End | undefined {
  for (const { state_history, trackers } of end?.documents.launches ?? []) {
    for (const entry of state_history) delete entry.checkpoint;
    for (const tracker of trackers) delete tracker.content;
  }
  return end;
}

test.skipIf(!python)(
  `rlaunch or fireworker --offline, brought in by either lpad${python ? '' : ' (skipped: no Python with FireWorks)'}`,
  async () => {
    await using machine = await oneMachine();
    const [theirs, ours, oursByPython] = await Promise.all(SIDES.map((side) => flown(machine, side)));
    expect(theirs).toMatchObject({
      documents: { fireworks: [{ state: 'FIZZLED' }, { state: 'COMPLETED' }] },
      files: [{ 'FW_offline.json': { state: 'COMPLETED' } }, { 'FW_offline.json': { state: 'FIZZLED' } }],
    });
    expect(oursByPython).toEqual(theirs);
    const launches = ours?.documents.launches ?? [];
    expect(launches[0]?.trackers[0].content).toBe('line');
    expect(launches[1]?.state_history.at(-1).checkpoint._task_n).toBe(0);
    expect(forgetful(ours)).toEqual(theirs);
  },
  2 * MINUTE,
);
