/**
 * What a spec can say: the same workflows, flown by Python's rapidfire and by our fireworker on two databases, end with the
 * same documents and leave the same files.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Doc, LaunchPad, launchPadSettings } from '../core/launchpad/index.ts';
import { normal, type Snapshot, snapshot } from '../core/launchpad/recorded/snapshot.ts';
import { MINUTE } from '../core/wait.ts';
import { type OneMachine, oneMachine, python, type Ran } from './one_machine.ts';

const why = python ? '' : ' (skipped: no Python with FireWorks)';
const dist = resolve(import.meta.dir, '..', 'dist');
const scripts = resolve(import.meta.dir, 'python');

interface Case {
  name: string;
  workflows: Doc[];
  /** my_fworker.yaml, besides the name. */
  worker?: Doc;
  /** `fly`, or a line of lpad. */
  steps?: string[][];
  /** How rapidfire is called, and fireworker. */
  rapidfire?: Doc;
  flags?: string[];
  /** FireWorks loses the checkpoint of a launch when something fails after its Firetasks: not copied. */
  keepsCheckpoint?: boolean;
  /** What the comparison is to find, so that two that do nothing are not equal. By Firework: its state. */
  states: Record<string, string>;
}

const FLY = ['fly'];
const script = (text: string, more: Doc = {}): Doc => ({ _fw_name: 'ScriptTask', script: text, ...more });
const says = (text: string): Doc => script(text, { store_stdout: true });
const leaves = (action: Doc, file = 'FWAction.json'): Doc => ({
  _fw_name: 'FileWriteTask',
  files_to_write: [{ filename: file, contents: JSON.stringify(action) }],
});
const action = (part: Doc): Doc => ({
  stored_data: {},
  exit: false,
  update_spec: {},
  mod_spec: [],
  additions: [],
  detours: [],
  defuse_children: false,
  ...part,
});
const firework = (name: string, tasks: Doc | Doc[], spec: Doc = {}): Doc => ({
  name,
  spec: { ...spec, _tasks: Array.isArray(tasks) ? tasks : [tasks] },
});
/** Fireworks in a row; each is the parent of the next. */
const chain = (...fireworks: Doc[]): Doc => ({
  fws: fireworks.map((one, i) => ({ ...one, fw_id: -1 - i })),
  links: Object.fromEntries(fireworks.slice(1).map((_, i) => [-1 - i, [-2 - i]])),
  name: 'a chain',
  metadata: {},
});
const done = (...names: string[]) => Object.fromEntries(names.map((name) => [name, 'COMPLETED']));
const child = firework('child', script('true'));
const added = firework('added', script('true'));
const background = (tasks: Doc[], more: Doc): Doc => ({
  _fw_name: 'BackgroundTask',
  tasks,
  num_launches: 0,
  sleep_time: 1,
  run_on_finish: false,
  ...more,
});

const growing = (name: string, part: Doc, states: Record<string, string>, file?: string): Case => ({
  name,
  workflows: [chain(firework('first', [leaves(action(part), file), script('touch never')]), child)],
  states,
});

const CASES: Case[] = [
  {
    name: '_category: a worker of one',
    worker: { category: 'gpu' },
    workflows: ['gpu', 'cpu', ''].map((_category) =>
      firework(_category || 'none', script('true'), _category ? { _category } : {}),
    ),
    states: { gpu: 'COMPLETED', cpu: 'READY', none: 'READY' },
  },
  {
    name: '_category: a worker of several, a Firework of several',
    worker: { category: ['gpu', 'big'] },
    workflows: ['gpu', ['small', 'big'], 'cpu'].map((_category) =>
      firework(String(_category), script('true'), { _category }),
    ),
    states: { gpu: 'COMPLETED', 'small,big': 'COMPLETED', cpu: 'READY' },
  },
  {
    name: '_category: a worker of none',
    worker: { category: '__none__' },
    workflows: [firework('gpu', script('true'), { _category: 'gpu' }), firework('none', script('true'))],
    states: { gpu: 'READY', none: 'COMPLETED' },
  },
  {
    name: 'a worker’s query, and _fworker',
    worker: { query: '{"$or": [{"spec.n": {"$gt": 1}}, {"spec.all": true}]}' },
    workflows: [
      firework('one', script('true'), { n: 1 }),
      firework('two', script('true'), { n: 2 }),
      firework('mine', script('true'), { all: true, _fworker: 'w' }),
      firework('another’s', script('true'), { all: true, _fworker: 'x' }),
    ],
    states: { one: 'READY', two: 'COMPLETED', mine: 'COMPLETED', 'another’s': 'READY' },
  },
  {
    name: 'a worker’s env, in a Firetask that is found by its name in a user’s package',
    worker: { env: { tool: '/opt/tool', n: 2 } },
    workflows: [firework('a', { _fw_name: 'FeatureNamed', n: 1 })],
    states: done('a'),
  },
  {
    name: 'a Firetask that is found by the name that FireWorks gives it',
    workflows: [firework('a', { _fw_name: 'features::ByDefault' })],
    states: done('a'),
  },
  {
    name: '_add_launchpad_and_fw_id, _add_fworker',
    worker: { category: ['x'], env: { a: 1 } },
    workflows: [
      firework(
        'a',
        { _fw_name: '{{features.tasks.Looks}}' },
        {
          _category: 'x',
          _add_launchpad_and_fw_id: true,
          _add_fworker: true,
        },
      ),
    ],
    states: done('a'),
  },
  {
    name: '_priority',
    workflows: [1, 3, 2].map((_priority) =>
      firework(`p${_priority}`, script(`echo ${_priority} >> $PLACE/order`), { _priority }),
    ),
    states: done('p1', 'p3', 'p2'),
  },
  {
    name: '_launch_dir',
    workflows: [chain(firework('a', script('pwd > here'), { _launch_dir: '$PLACE/of/a' }), child)],
    states: done('a', 'child'),
  },
  {
    name: '_pass_job_info down the line',
    workflows: [
      chain(
        firework('a', script('echo a > a.txt'), { _pass_job_info: true }),
        firework('b', script('echo b > b.txt'), { _pass_job_info: true }),
        firework('c', { _fw_name: '{{features.tasks.Kinds}}' }),
      ),
    ],
    states: done('a', 'b', 'c'),
  },
  {
    name: '_pass_job_info of one that fails',
    workflows: [
      chain(
        firework('a', script('exit 1'), { _pass_job_info: true, _files_out: { f: '*' } }),
        firework('b', script('true'), { _allow_fizzled_parents: true }),
      ),
    ],
    states: { a: 'FIZZLED', b: 'COMPLETED' },
  },
  {
    name: '_files_out, _files_prev, _files_in',
    workflows: [
      chain(
        firework(
          'a',
          script('echo 1 > x1.txt; echo 2 > x2.txt; echo packed | gzip > p.gz; mkdir d; echo 3 > d/y'),
          {
            _files_out: { last: 'x*.txt', packed: 'p.gz', deep: '*/y', none: '{x1,x2}.txt' },
          },
        ),
        firework('b', says('cat got.txt packed.txt y; ls'), {
          _files_in: { last: 'got.txt', packed: 'packed.txt', deep: 'y', none: 'none', never: 'never' },
        }),
      ),
    ],
    states: done('a', 'b'),
  },
  {
    name: '_preserve_fworker',
    workflows: [chain(firework('a', script('true'), { _preserve_fworker: true }), child)],
    states: done('a', 'child'),
  },
  {
    name: '_background_tasks',
    workflows: [
      chain(
        firework(
          'a',
          [
            script('while [ "$(cat a b 2> /dev/null | wc -l)" -lt 3 ]; do sleep 0.05; done'),
            script('echo end >> a'),
          ],
          {
            _background_tasks: [
              background([script('echo round >> a')], {
                num_launches: 2,
                sleep_time: 0,
                run_on_finish: true,
              }),
              background([script('echo one >> b'), script('exit 1')], {}),
            ],
          },
        ),
        child,
      ),
    ],
    states: done('a', 'child'),
  },
  {
    name: '_background_tasks: a failure at the end',
    workflows: [
      firework('a', script('until [ -e begun ]; do sleep 0.05; done'), {
        _background_tasks: [
          background([script('[ ! -e begun ] && touch begun')], { num_launches: 1, run_on_finish: true }),
        ],
      }),
    ],
    keepsCheckpoint: true,
    states: { a: 'FIZZLED' },
  },
  {
    name: '_trackers',
    workflows: [
      firework('a', [script('seq 5 > log'), script('seq 6 8 >> log; seq 3 | gzip > zipped.gz')], {
        _trackers: [
          { filename: 'log', nlines: 2 },
          { filename: 'zipped', nlines: 2, allow_zipped: true },
          { filename: 'none', nlines: 5 },
        ],
      }),
    ],
    states: done('a'),
  },
  {
    name: 'checkpoints, and _recovery with the data of before',
    workflows: [
      chain(
        firework(
          'a',
          [{ _fw_name: '{{features.tasks.Changes}}' }, script('[ -e mark ] || { touch mark; exit 1; }')],
          {
            list: ['x'],
          },
        ),
        child,
      ),
    ],
    steps: [FLY, ['rerun_fws', '-i', '2', '--task-level', '--copy-data'], FLY],
    states: done('a', 'child'),
  },
  {
    name: '_recovery in the folder of before',
    workflows: [
      chain(firework('a', [says('echo 1'), script('[ -e mark ] || { touch mark; exit 1; }')]), child),
    ],
    steps: [FLY, ['rerun_fws', '-i', '2', '--task-level', '--previous-dir'], FLY],
    states: done('a', 'child'),
  },
  {
    name: '_recovery with nothing but the checkpoint',
    workflows: [
      chain(
        firework('a', [script('touch once'), script('[ -e $PLACE/mark ] || { touch $PLACE/mark; exit 1; }')]),
        child,
      ),
    ],
    steps: [FLY, ['rerun_fws', '-i', '2', '--task-level'], FLY],
    states: done('a', 'child'),
  },
  {
    name: 'several Firetasks: what they change adds up',
    workflows: [
      chain(
        firework(
          'a',
          [1, 2].map(() => ({ _fw_name: '{{features.tasks.Changes}}' })),
          { list: ['x'] },
        ),
        firework('b', script('true'), { list: ['y'] }),
      ),
    ],
    states: done('a', 'b'),
  },
  growing(
    'FWAction.json: a lone Firework as an addition',
    { additions: [added] },
    done('first', 'child', 'added'),
  ),
  growing(
    'FWAction.yaml: a workflow as a detour',
    { detours: [chain(added, firework('later', script('true')))], stored_data: { a: 1 } },
    done('first', 'child', 'added', 'later'),
    'FWAction.yaml',
  ),
  growing(
    'FWAction.json: append_wfs',
    {
      append_wfs: [{ workflow: added, parents: [], detour: true }],
      defuse_workflow: false,
      propagate: false,
    },
    done('first', 'child', 'added'),
  ),
  growing('FWAction.json: exit', { exit: true, update_spec: { a: 1 } }, done('first', 'child')),
  growing(
    'FWAction.json: defuse_children',
    { defuse_children: true },
    { first: 'COMPLETED', child: 'DEFUSED' },
  ),
  ...['additions', 'detours', 'append_wfs'].map(
    (kind): Case => ({
      name: `a Firetask in Python: ${kind}`,
      workflows: [chain(firework('first', { _fw_name: '{{features.tasks.Grows}}', kind }), child)],
      states: done('first', 'child', 'grown', ...(kind === 'append_wfs' ? ['later'] : [])),
    }),
  ),
  {
    name: '_allow_fizzled_parents',
    workflows: [
      {
        ...chain(
          firework('a', script('exit 2')),
          firework('b', script('true')),
          firework('c', script('true')),
        ),
        links: { '-1': [-2, -3] },
        fws: [
          { ...firework('a', script('exit 2')), fw_id: -1 },
          { ...firework('b', says('echo went on'), { _allow_fizzled_parents: true }), fw_id: -2 },
          { ...firework('c', script('true')), fw_id: -3 },
        ],
      },
    ],
    states: { a: 'FIZZLED', b: 'COMPLETED', c: 'WAITING' },
  },
  {
    name: 'an exception with details',
    workflows: [firework('a', { _fw_name: '{{features.tasks.Fails}}' })],
    states: { a: 'FIZZLED' },
  },
  {
    name: 'values that are no JSON',
    workflows: [firework('a', { _fw_name: '{{features.tasks.Returns}}' })],
    states: done('a'),
  },
  {
    name: 'values in Python: numbers, dates, and objects of monty, which Firetasks hand on',
    workflows: [
      chain(
        firework(
          'a',
          [{ _fw_name: '{{features.tasks.Kinds}}' }, { _fw_name: '{{features.tasks.Moves}}', by: 2 }],
          {
            whole: 1,
            real: 1.5,
            when: '2020-01-02T03:04:05.678901',
            day: '2020-01-02',
            nothing: null,
            at: { '@module': 'features.tasks', '@class': 'Point', x: 1 },
          },
        ),
        child,
      ),
    ],
    states: done('a', 'child'),
  },
  {
    name: '_dupefinder: DupeFinderExact',
    workflows: ['a', 'b'].map((name) =>
      firework(name, script('date'), { n: 1, _dupefinder: { _fw_name: 'DupeFinderExact' } }),
    ),
    states: done('a', 'b'),
  },
  {
    name: '_dupefinder: a user’s own, by a query',
    workflows: [1, 2, 1].map((kind, i) =>
      firework(`${i}`, script('true'), { kind, n: i, _dupefinder: { _fw_name: 'FeatureSameKind' } }),
    ),
    states: done('0', '1', '2'),
  },
  {
    name: '_dupefinder: a user’s own, by a look at each',
    workflows: [5, 9, 6].map((n) =>
      firework(`${n}`, script('true'), {
        kind: 'a',
        n,
        _dupefinder: { _fw_name: '{{features.finders.Near}}' },
      }),
    ),
    states: done('5', '9', '6'),
  },
  {
    name: 'nlaunches',
    workflows: ['a', 'b', 'c'].map((name, i) => firework(name, script('true'), { _priority: 3 - i })),
    rapidfire: { nlaunches: 2 },
    flags: ['--nlaunches', '2'],
    states: { a: 'COMPLETED', b: 'COMPLETED', c: 'READY' },
  },
  {
    name: 'timeout: the rocket in flight lands, and no other takes off',
    workflows: ['a', 'b'].map((name, i) => firework(name, script('sleep 4'), { _priority: 2 - i })),
    rapidfire: { timeout: 2 },
    flags: ['--timeout', '2'],
    states: { a: 'COMPLETED', b: 'READY' },
  },
];

describe(`as Python’s rapidfire${why}`, () => {
  let machine: OneMachine;

  beforeAll(async () => {
    if (!python) return;
    machine = await oneMachine();
    // FireWorks looks for its settings where it is started.
    const config = 'ADD_USER_PACKAGES: [features]\nSORT_FWS: FIFO\nROCKET_STREAM_LOGLEVEL: CRITICAL\n';
    await writeFile(join(machine.folder, 'FW_config.yaml'), config);
    for (const side of ['theirs', 'ours'])
      for (const [i, { worker = {} }] of CASES.entries()) {
        const folder = join(machine.folder, side, String(i));
        await mkdir(join(folder, 'place'), { recursive: true });
        if (side === 'ours') await writeFile(join(folder, 'FW_config.yaml'), config);
        const fworker = { name: 'w', category: '', query: '{}', env: {}, ...worker };
        await writeFile(join(folder, 'my_fworker.yaml'), JSON.stringify(fworker));
        const launchpad = { host: '127.0.0.1', port: machine.port, name: `${side}_${i}`, strm_lvl: 'ERROR' };
        await writeFile(
          join(folder, 'my_launchpad.yaml'),
          JSON.stringify(
            side === 'ours' ? { ...launchpad, idle_for_rockets: 0, idle_for_waiters: 0 } : launchpad,
          ),
        );
      }
    const cases = CASES.map(({ steps = [FLY], ...one }) => ({ ...one, steps }));
    await writeFile(join(machine.folder, 'cases.json'), JSON.stringify(cases));
    const ran = await withUsersPackage(machine, machine.folder, [
      python,
      join(scripts, 'rocket_features.py'),
      String(machine.port),
      'cases.json',
    ]);
    // What a Firetask raises is printed there; what a case itself could not do is told.
    expect([ran.code, ran.err.match(/^case .*/gm)]).toEqual([0, null]);
  }, 5 * MINUTE);
  afterAll(() => machine?.[Symbol.asyncDispose]());

  test.skipIf(!python).each(CASES.map((one, i) => [one.name, i] as const))(
    '%s',
    async (_, i) => {
      const { steps = [FLY], flags = [], keepsCheckpoint, states } = CASES[i] as Case;
      const folder = join(machine.folder, 'ours', String(i));
      for (const step of steps) {
        const argv =
          step === FLY
            ? [join(dist, 'fireworker'), '--development', ...flags]
            : [join(dist, 'borealisctl'), 'lpad', '-l', 'my_launchpad.yaml', ...step];
        const { code, out, err } = await withUsersPackage(machine, folder, argv);
        expect({ code, told: code === 0 ? '' : out + err }).toEqual({ code: 0, told: '' });
      }
      const [ours, theirs] = [await ended(machine, 'ours', i), await ended(machine, 'theirs', i)];
      const names = (ours.documents.fireworks ?? []).map(({ name, state }) => [name, state]);
      expect(Object.fromEntries(names)).toEqual(states);
      if (keepsCheckpoint)
        for (const { state_history } of ours.documents.launches ?? [])
          for (const entry of state_history) delete entry.checkpoint;
      expect(ours).toEqual(theirs);
    },
    MINUTE,
  );
});

/** Runs a program with the user's package at hand. */
async function withUsersPackage(machine: OneMachine, cwd: string, argv: readonly string[]): Promise<Ran> {
  return await machine.run(argv, {
    cwd,
    env: {
      PYTHONPATH: scripts,
      PYTHONDONTWRITEBYTECODE: '1',
      FIREWORKER_PYTHON: python as string,
      PLACE: join(cwd, 'place'),
    },
  });
}

/** How a side ended: its documents, and the files of its launches and of the place that they share. */
async function ended(
  machine: OneMachine,
  side: string,
  i: number,
): Promise<{ documents: Snapshot; files: Record<string, string>[] }> {
  const settings = launchPadSettings({ host: '127.0.0.1', port: machine.port, name: `${side}_${i}` }, 'test');
  await using launchpad = await LaunchPad.open(settings);
  const launches = await launchpad.launches.find({}).sort({ launch_id: 1 }).toArray();
  const folders = [
    ...launches.map(({ launch_dir }) => launch_dir),
    join(machine.folder, side, String(i), 'place'),
  ];
  const { fw_id_assigner: _, ...documents } = await snapshot(launchpad);
  return { documents: renumbered(documents), files: await Promise.all(folders.map(filesIn)) };
}

/**
 * The ids of Fireworks that an action adds are negative: Python counts them down for as long as it runs. And a worker of ours
 * reserves several launch ids at once, so that what comes next is not compared.
 */
function renumbered(documents: Snapshot): Snapshot {
  const ids = new Map<string, string>();
  const renumber = (id: string) => {
    if (!ids.has(id)) ids.set(id, `-${ids.size + 1}`);
    return ids.get(id) as string;
  };
  return JSON.parse(JSON.stringify(documents).replace(/(?<=[[,:"])-\d+(?=["\],}:])/g, renumber));
}

/**
 * The files below a folder and what is in them. FW.json is told apart: ours names what runs, FireWorks' the whole document. A
 * launch that left nothing else has no folder with us.
 */
async function filesIn(folder: string): Promise<Record<string, string>> {
  if (!existsSync(folder)) return {};
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files: Record<string, string> = {};
  for (const entry of entries) {
    if (!entry.isFile() || entry.name === 'FW.json') continue;
    const path = join(entry.parentPath, entry.name);
    files[path.slice(folder.length + 1)] = String(normal(await readFile(path, 'latin1')));
  }
  return files;
}
