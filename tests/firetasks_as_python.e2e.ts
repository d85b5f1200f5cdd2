/**
 * FireWorks' own Firetasks: the same workflows, flown by Python's rapidfire and by our fireworker on two databases, end in the
 * same states, with the same specs, the same stored data, the same files on disk, and the same FilePad. The texts of
 * exceptions are for people and differ: their classes are compared.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { FilePad, readFilePadFile } from '../core/filepad/index.ts';
import { type Doc, isDoc, LaunchPad, launchPadSettings } from '../core/launchpad/index.ts';
import { normal, snapshot } from '../core/launchpad/recorded/snapshot.ts';
import { TYPED } from '../core/launchpad/values.ts';
import { MINUTE } from '../core/wait.ts';
import { type OneMachine, oneMachine, python } from './one_machine.ts';

const why = python ? '' : ' (skipped: no Python with FireWorks)';
const dist = resolve(import.meta.dir, '..', 'dist');

/** A Firework with these Firetasks and spec, and a child that shows what it is given. `states` of both, and what is added. */
interface Case {
  name: string;
  tasks: Doc[];
  spec?: Doc;
  states?: Record<string, string>;
}

const FIZZLED = { first: 'FIZZLED', child: 'WAITING' };
const task = (name: string, params: Doc): Doc => ({ _fw_name: name, ...params });
const write = (files: Record<string, string>): Doc =>
  task('FileWriteTask', {
    files_to_write: Object.entries(files).map(([filename, contents]) => ({ filename, contents })),
  });
const data = (value: unknown): Doc => ({ source: { type: 'data', value } });
const result = { target: { type: 'data', value: '' } };
const command = (command_spec: Doc, more: Doc = {}) => task('CommandLineTask', { command_spec, ...more });
const template = (text: string, context: Doc, more: Doc = {}): Doc[] => [
  write({ t: text, more: 'included {{ x }}\n' }),
  task('TemplateWriterTask', { template_file: 't', template_dir: '.', output_file: 'o', context, ...more }),
];
/** In the folder of launches. */
const filepad_file = '../my_filepad.yaml';
const add = (paths: unknown, more: Doc = {}) => task('AddFilesTask', { paths, filepad_file, ...more });
const get = (identifiers: string[], more: Doc = {}) =>
  task('GetFilesTask', { identifiers, filepad_file, ...more });
const query = (what: Doc, more: Doc = {}) =>
  task('GetFilesByQueryTask', { query: what, filepad_file, ...more });
const script = (text: unknown, more: Doc = {}) => task('ScriptTask', { script: text, ...more });

const TEMPLATE = `{# the input of a program -#}
title = {{ title|upper }}; steps = {{ steps }}; dt = {{ dt }}; whole = {{ whole }}; none = {{ none_there }}
{% for key, value in options.items() %}{{ key }} = {{ value }}{% if not loop.last %}, {% endif %}{% endfor %}
{% for atom in atoms %}{{ loop.index }} {{ atom.name }} {{ '%8.3f'|format(atom.x) }} {{ atom.x * 2 }}
{% else %}nothing{% endfor %}
{% set n = atoms|length %}{% if n > 1 and not empty %}{{ n }} atoms: {{ atoms|map(attribute='name')|join(', ') }}{% endif %}
{% include 'more' %} {{ list }} {{ escaped }} {{ missing|default('left out') }} {{ flag }} {{ options }}
`;

const CASES: Case[] = [
  {
    name: 'CommandLineTask: words, stdin, results as values and as files',
    tasks: [
      command(
        {
          command: ['sh', '-c', 'cat; echo "$0" "$@"; echo bad >&2; echo made > made'],
          a: { binding: { prefix: '-n', separator: '=' }, ...data(3) },
          b: data(1.5),
          c: data(true),
          many: 'many',
          big: data(1e21),
          in: { ...data('given\n'), target: { type: 'stdin' } },
          err: { source: { type: 'stderr' }, target: { type: 'path', value: 'err' } },
          copy: { source: { type: 'path', value: 'made' }, target: { type: 'path', value: 'copy' } },
          out: result,
        },
        { inputs: ['a', 'b', 'c', 'many', 'big', 'in'], outputs: ['out', 'err', 'copy'] },
      ),
    ],
    spec: { many: [data('x y'), { type: 'path', value: 'p' }] },
  },
  {
    name: 'CommandLineTask: parts of its spec are keys of the Firework’s',
    tasks: [
      command(
        {
          command: ['echo'],
          a: { binding: 'how', source: 'what' },
          out: { source: { type: 'stdout' }, target: 'where' },
        },
        { inputs: ['a'], outputs: ['out'], chunk_number: 2 },
      ),
    ],
    spec: {
      how: { prefix: '--x', separator: ' ' },
      what: { type: 'data', value: 'v' },
      where: { type: 'path', value: 'w' },
    },
  },
  {
    name: 'CommandLineTask: two outputs of a part',
    tasks: [
      command(
        {
          command: ['echo', 'x'],
          one: { source: { type: 'stdout' }, target: { type: 'path', value: 'one' } },
          two: { source: { type: 'stderr' }, target: { type: 'path', value: 'two' } },
        },
        { outputs: ['one', 'two'], chunk_number: 0 },
      ),
    ],
  },
  { name: 'CommandLineTask: a bad exit code', tasks: [command({ command: ['false'] })], states: FIZZLED },
  { name: 'CommandLineTask: no such program', tasks: [command({ command: ['no-such'] })], states: FIZZLED },
  {
    name: 'CommandLineTask: no such label',
    tasks: [command({ command: ['true'] }, { inputs: ['a'] })],
    states: FIZZLED,
  },
  {
    name: 'CommandLineTask: a type of the future',
    tasks: [
      command({ command: ['true'], a: { source: { type: 'identifier', value: 'i' } } }, { inputs: ['a'] }),
    ],
    states: FIZZLED,
  },
  {
    name: 'ForeachTask: a Firework for each',
    tasks: [
      task('ForeachTask', {
        split: 'words',
        task: command(
          { command: ['echo'], words: 'words', out: result },
          { inputs: ['words'], outputs: ['out'] },
        ),
      }),
    ],
    spec: { words: ['a', 'b', 'c'].map((value) => data(value)), other: 1.0 },
    states: {
      first: 'COMPLETED',
      'ForeachTask 0': 'COMPLETED',
      'ForeachTask 1': 'COMPLETED',
      'ForeachTask 2': 'COMPLETED',
      child: 'COMPLETED',
    },
  },
  {
    name: 'ForeachTask: a PyTask for parts of a list',
    tasks: [
      task('ForeachTask', {
        split: 'numbers',
        'number of chunks': 2,
        task: { _fw_name: 'PyTask', func: 'sum', inputs: ['numbers'], outputs: ['sums'] },
      }),
    ],
    spec: { numbers: [1, 2, 3, 4, 5] },
    states: {
      first: 'COMPLETED',
      'ForeachTask 0': 'COMPLETED',
      'ForeachTask 1': 'COMPLETED',
      child: 'COMPLETED',
    },
  },
  {
    name: 'ForeachTask: an empty list',
    tasks: [task('ForeachTask', { split: 'l', task: { _fw_name: 'PyTask', func: 'sum', inputs: ['l'] } })],
    spec: { l: [] },
    states: FIZZLED,
  },
  {
    name: 'JoinDictTask and JoinListTask, one after the other',
    tasks: [
      task('JoinDictTask', { inputs: ['a', 'b'], output: 'd', rename: { b: 'c' } }),
      task('JoinListTask', { inputs: ['a', 'd'], output: 'l' }),
    ],
    spec: { a: 1, b: [1.5, null], d: { z: 9 }, l: ['was there'] },
  },
  {
    name: 'JoinDictTask: into what is no dictionary',
    tasks: [task('JoinDictTask', { inputs: ['a'], output: 'a' })],
    spec: { a: 1 },
    states: FIZZLED,
  },
  {
    name: 'JoinListTask: a missing input',
    tasks: [task('JoinListTask', { inputs: ['a'], output: 'l' })],
    states: FIZZLED,
  },
  {
    name: 'ImportDataTask: JSON and YAML',
    tasks: [
      write({ 'a.json': '{"x": 1, "y": [1.0, null]}', 'b.yaml': 'x: [1, 2.5, yes]\nz: text\n' }),
      task('ImportDataTask', { filename: 'a.json', mapstring: 'deep/er' }),
      task('ImportDataTask', { filename: 'b.yaml', mapstring: 'deep/er' }),
      task('ImportDataTask', { filename: 'b.yaml', mapstring: 'new' }),
    ],
    spec: { deep: { er: { was: 1 }, other: 2 } },
  },
  {
    name: 'ImportDataTask: below what is not there',
    tasks: [write({ 'a.json': '1' }), task('ImportDataTask', { filename: 'a.json', mapstring: 'no/where' })],
    states: FIZZLED,
  },
  {
    name: 'ImportDataTask: no such file',
    tasks: [task('ImportDataTask', { filename: 'a.json', mapstring: 'a' })],
    states: FIZZLED,
  },
  {
    name: 'TemplateWriterTask',
    tasks: template(TEMPLATE, {
      title: 'water',
      steps: 1000,
      dt: 0.5,
      whole: 1.5,
      none_there: null,
      options: { a: 1, b: 'two', c: true },
      atoms: [
        { name: 'H', x: 0.25 },
        { name: 'O', x: 1 },
      ],
      empty: [],
      list: [1, 'a', 2.5],
      escaped: `<&"'>`,
      flag: false,
      x: 'x',
    }),
  },
  {
    name: 'TemplateWriterTask: append, and use_global_spec',
    tasks: [
      ...template('{{ who }}\n', { who: 'one' }),
      { _fw_name: 'TemplateWriterTask', use_global_spec: true },
    ],
    spec: { template_file: 't', template_dir: '.', output_file: 'o', append: true, context: { who: 'two' } },
  },
  { name: 'TemplateWriterTask: an attribute of nothing', tasks: template('{{ a.b }}', {}), states: FIZZLED },
  {
    name: 'TemplateWriterTask: no such template',
    tasks: template('', {}, { template_file: 'none' }),
    states: FIZZLED,
  },
  {
    name: 'FilePad: added, fetched, queried, deleted',
    tasks: [
      write({ 'a.txt': 'a', 'b.txt': 'b'.repeat(700_000), 'c.dat': 'ü\r\n' }),
      add(['a.txt'], { identifiers: ['a'], metadata: { n: 1, tags: ['p', 'q'], deep: { er: 1.5 } } }),
      add(['b.txt', 'c.dat'], { identifiers: ['b', 'c'], compress: false, metadata: { n: 2 } }),
      add(['c.dat'], { identifiers: ['a'] }),
      get(['a', 'b'], { new_file_names: ['a2', 'b2'] }),
      query(
        { 'metadata->n': 2 },
        { sort_key: 'identifier', sort_direction: 1, new_file_names: ['q1', 'q2'] },
      ),
      query({ 'metadata->deep->er': 1.5 }, { meta_file: true, limit: 5 }),
      task('DeleteFilesTask', { identifiers: ['c', 'none'], filepad_file }),
    ],
  },
  { name: 'FilePad: no such file to add', tasks: [add(['none'])], states: FIZZLED },
  { name: 'FilePad: no such identifier', tasks: [get(['none'])], states: FIZZLED },
  { name: 'FilePad: nothing found', tasks: [query({ identifier: 'none' })], states: FIZZLED },
  {
    name: 'FilePad: too few identifiers',
    tasks: [write({ a: '' }), add(['a'], { identifiers: [] })],
    states: FIZZLED,
  },
  {
    name: 'ScriptTask: its options',
    tasks: [
      write({ in: 'one\ntwo\n' }),
      script('cat; echo bad >&2', {
        stdin_file: 'in',
        store_stdout: true,
        store_stderr: true,
        stdout_file: 'o',
        stderr_file: 'e',
      }),
      script(['head -c 4 > first', 'cat > rest'], { stdin_file: 'in' }),
      script('echo $0 > shell', { shell_exe: '/bin/bash' }),
      script('exit 3', { fizzle_bad_rc: false }),
      script('exit 4', { fizzle_bad_rc: null }),
    ],
  },
  {
    name: 'ScriptTask: defuse_bad_rc',
    tasks: [script('exit 3', { defuse_bad_rc: true })],
    states: { first: 'COMPLETED', child: 'DEFUSED' },
  },
  { name: 'ScriptTask: a bad exit code', tasks: [script(['true', 'exit 3', 'true'])], states: FIZZLED },
  { name: 'ScriptTask: no stdin_file', tasks: [script('cat', { stdin_file: 'none' })], states: FIZZLED },
  {
    name: 'ScriptTask: file and key',
    tasks: [script('cat', { stdin_file: 'a', stdin_key: 'b' })],
    states: FIZZLED,
  },
  {
    name: 'ScriptTask: to fizzle and to defuse',
    tasks: [script('true', { defuse_bad_rc: true, fizzle_bad_rc: true })],
    states: FIZZLED,
  },
];

const FILEPAD_FILE = { theirs: 'my_filepad.yaml', ours: 'launches/my_filepad.yaml' } as const;
const FILEPAD = CASES.findIndex(({ name }) => name.startsWith('FilePad: added'));

describe(`as Python’s own Firetasks${why}`, () => {
  let machine: OneMachine;
  const folderOf = (side: string, i: number) => join(machine.folder, side, String(i));

  beforeAll(async () => {
    if (!python) return;
    machine = await oneMachine();
    const config = 'SORT_FWS: FIFO\nROCKET_STREAM_LOGLEVEL: CRITICAL\n';
    await writeFile(join(machine.folder, 'FW_config.yaml'), config);
    for (const side of ['theirs', 'ours'] as const)
      for (const i of CASES.keys()) {
        const folder = folderOf(side, i);
        await mkdir(join(folder, 'launches'), { recursive: true });
        const database = { host: '127.0.0.1', port: machine.port, name: `${side}_${i}` };
        const idle = side === 'ours' && { idle_for_rockets: 0, idle_for_waiters: 0 };
        const files = {
          'FW_config.yaml': config,
          'my_fworker.yaml': JSON.stringify({ name: 'w', category: '', query: '{}', env: {} }),
          'my_launchpad.yaml': JSON.stringify({ ...database, strm_lvl: 'ERROR', ...idle }),
          [FILEPAD_FILE[side]]: JSON.stringify(database),
        };
        for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
      }
    const cases = CASES.map(({ tasks, spec = {} }) => ({
      steps: [['fly']],
      workflows: [workflow(tasks, spec)],
    }));
    await writeFile(join(machine.folder, 'cases.json'), JSON.stringify(cases));
    const program = join(import.meta.dir, 'python/rocket_features.py');
    const ran = await machine.run([python, '-B', program, String(machine.port), 'cases.json']);
    expect([ran.code, ran.err.match(/^case .*/gm)]).toEqual([0, null]);
  }, 5 * MINUTE);
  afterAll(() => machine?.[Symbol.asyncDispose]());

  test.skipIf(!python).each(CASES.map(({ name }, i) => [name, i] as const))(
    '%s',
    async (_, i) => {
      const env = { FIREWORKER_PYTHON: python as string };
      const argv = [join(dist, 'fireworker'), '--development'];
      const { code, out, err } = await machine.run(argv, { cwd: folderOf('ours', i), env });
      expect({ code, told: code === 0 ? '' : out + err }).toEqual({ code: 0, told: '' });
      const [ours, theirs] = [await ended('ours', i), await ended('theirs', i)];
      const { states = { first: 'COMPLETED', child: 'COMPLETED' } } = CASES[i] as Case;
      expect(Object.fromEntries(ours.fireworks.map(({ name, state }) => [name, state]))).toEqual(states);
      expect(ours).toEqual(theirs);
    },
    MINUTE,
  );

  test.skipIf(!python)(
    'each reads the FilePad that the other has written',
    async () => {
      const program = `
import sys
from fireworks.utilities.filepad import FilePad
pad = FilePad.from_db_file(sys.argv[1])
print(len(pad.get_file("a")[0]), len(pad.get_file("b")[0]), pad.get_file("c"))`;
      const file = (side: 'ours' | 'theirs') => join(folderOf(side, FILEPAD), FILEPAD_FILE[side]);
      const argv = [python as string, '-W', 'ignore', '-c', program, file('ours')];
      expect((await machine.run(argv)).out.trim().split('\n').at(-1)).toBe('1 700000 (None, None)');
      await using filepad = await FilePad.open(readFilePadFile(file('theirs')));
      for (const [identifier, size] of [
        ['a', 1],
        ['b', 700_000],
      ] as const) {
        const found = await filepad.find(identifier);
        const to = join(machine.folder, `theirs-${identifier}`);
        await filepad.fetch(found as NonNullable<typeof found>, to);
        expect((await readFile(to)).length).toBe(size);
      }
    },
    MINUTE,
  );

  /** How a side ended. */
  async function ended(side: string, i: number) {
    const settings = launchPadSettings(
      { host: '127.0.0.1', port: machine.port, name: `${side}_${i}` },
      'test',
    );
    await using launchpad = await LaunchPad.open(settings);
    const { fireworks = [], launches = [] } = await snapshot(launchpad);
    const stored = await launchpad.launches.find({}, { sort: { launch_id: 1 } }).toArray();
    const rows = async (name: string) => {
      const found = await launchpad.db
        .collection(name)
        .find({}, TYPED)
        .sort({ identifier: 1, length: 1 })
        .toArray();
      return found.map((row) => normal(row));
    };
    return {
      fireworks: fireworks.map(({ name, state, spec }) => ({ name, state, spec })),
      actions: launches.map(({ state, action }) => ({ state, action: comparableAction(action) })),
      files: await Promise.all(stored.map(({ launch_dir }) => filesIn(launch_dir))),
      filepad: [await rows('filepad'), await rows('filepad_gfs.files')],
    };
  }
});

function workflow(tasks: Doc[], spec: Doc): Doc {
  return {
    fws: [
      { fw_id: -1, name: 'first', spec: { ...spec, _tasks: tasks } },
      { fw_id: -2, name: 'child', spec: { _tasks: [script('true')] } },
    ],
    links: { '-1': [-2] },
    name: 'a pair',
    metadata: {},
  };
}

/**
 * Of an exception the class alone. What is added is seen among the Fireworks. A CommandLineTask of FireWorks lengthens its own
 * command when it runs, which a failure stores: not copied.
 */
function comparableAction(action: Doc): Doc {
  const { stored_data, detours, ...rest } = action as { stored_data: Doc; detours: Doc[] };
  const { _exception, _task, ...data } = stored_data;
  const trace = isDoc(_exception) ? String(_exception._stacktrace) : '';
  const raised = /^<traceback> (?:\w+\.)*(\w+)/.exec(trace)?.[1] ?? trace;
  const failed = isDoc(_task) && _task._fw_name;
  return { ...rest, added: detours.length, stored_data: { ...data, raised, failed } };
}

/** The files of a launch, but for FW.json. Where there is no other, our worker leaves no folder. */
async function filesIn(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of (await readdir(folder).catch(() => [])).sort())
    if (!name.startsWith('FW')) found[name] = await readFile(join(folder, name), 'latin1');
  return found;
}
