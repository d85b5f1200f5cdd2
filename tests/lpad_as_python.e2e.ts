/**
 * Our lpad beside Python's: it prints the same, byte by byte, on the same database; and of two databases with the same
 * contents, one changed by each, the contents are the same again.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { LaunchPad, launchPadSettings, TYPED } from '../core/launchpad/index.ts';
import { type Snapshot, snapshot } from '../core/launchpad/recorded/snapshot.ts';
import fireworks from '../ctl/lpad/fireworks_grammar.json';
import { today } from '../ctl/lpad/session.ts';
import { type Ran, series } from '../ctl/series.ts';
import { type Mongo, startMongo } from '../sandbox/mongo/server.ts';

const python = process.env.BOREALIS_PYTHON;
if (!python)
  console.log('lpad beside Python: skipped, for there is no BOREALIS_PYTHON (bun scripts/python_env.ts)');

const WORKFLOW = `
name: my wf
metadata: {kind: test}
fws:
- fw_id: 1
  name: first
  spec:
    _priority: 3
    num: 1.5
    big: 9007199254740993
    text: grüße
    _tasks: [{_fw_name: ScriptTask, script: echo hi}]
- fw_id: 2
  name: second
  spec: {_tasks: [{_fw_name: ScriptTask, script: exit 3}]}
- fw_id: 3
  spec: {_tasks: [{_fw_name: ScriptTask, script: echo never}]}
links: {1: [2], 2: [3]}
`;

const MORE = `{"fws": [
  {"fw_id": -1, "name": "x", "spec": {"f": 1.0, "_tasks": [{"_fw_name": "ScriptTask", "script": "echo x"}]}},
  {"fw_id": -2, "name": "y", "spec": {"_tasks": [{"_fw_name": "ScriptTask", "script": "echo y"}]}}],
  "links": {"-1": [-2]}, "name": "more", "metadata": {}}`;

let mongo: Mongo;
let cwd: string;
let base: LaunchPad;

const write = (name: string, text: string) => writeFile(join(cwd, name), text);
const settingsOf = (name: string) => launchPadSettings({ host: '127.0.0.1', port: mongo.port, name }, 'test');
const config = (name: string) =>
  write(`${name}.yaml`, `host: 127.0.0.1\nport: ${mongo.port}\nname: ${name}\n`);

async function runPython(what: 'prepare' | 'run'): Promise<void> {
  const child = Bun.spawn([python as string, resolve(import.meta.dir, 'lpad_as_python.py'), what], {
    cwd,
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
  });
  const err = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(err);
}

/** What Python prints for each line; the first word of a line is the LaunchPad file. */
async function theirs(lines: readonly (readonly string[])[]): Promise<string[]> {
  await write('lines.json', JSON.stringify(lines));
  await runPython('run');
  return JSON.parse(await readFile(join(cwd, 'answers.json'), 'utf8')) as string[];
}

const ours = (lines: readonly (readonly string[])[]): Promise<Ran[]> =>
  series(
    lines.map(([file = '', ...line]) => ['-l', file, ...line]),
    { cwd, calledAs: 'lpad' },
  );

beforeAll(async () => {
  if (!python) return;
  mongo = await startMongo();
  cwd = await mkdtemp(join(tmpdir(), 'lpad-python-'));
  await write('my_launchpad.yaml', `host: 127.0.0.1\nport: ${mongo.port}\nname: fireworks\n`);
  await write('wf.yaml', WORKFLOW);
  await write('more.json', MORE);
  await write('worker.yaml', 'name: w\ncategory: ""\nquery: "{}"\nenv: {}\n');
  await write('other_worker.yaml', 'name: other\ncategory: ""\nquery: "{}"\nenv: {}\n');
  await mkdir(join(cwd, 'many'));
  await write('many/one.json', MORE);
  await runPython('prepare');
  base = await LaunchPad.open(settingsOf('fireworks'));
}, 60_000);

afterAll(async () => {
  if (!python) return;
  await base.close();
  await mongo.stop();
  await rm(cwd, { recursive: true });
});

/** What a logger says beside the data has the time in it. */
const data = (text: string) =>
  text
    .split('\n')
    .filter((line) => !/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ /.test(line))
    .join('\n');

/** In YAML Python breaks a line before a value that reaches beyond column 80, as a path may. */
const unfolded = (text: string) => text.replaceAll(/^( +\w+:) \n +/gm, '$1 ');

const DISPLAYS = ['ids', 'count', 'less', 'more', 'all', 'reservations'];
const SOME = `{'fw_id': {'$lt': 14}}`;

const SHOWN: string[][] = [
  ...DISPLAYS.map((display) => ['get_wflows', '-d', display]),
  ...DISPLAYS.map((display) => ['get_fws', '-d', display]),
  ...DISPLAYS.map((display) => ['get_fws_in_wflows', '-wfn', 'scripts', '-d', display]),
  // With `count` Python shows the list of ids in a list.
  ...DISPLAYS.filter((display) => display !== 'count').map((display) => ['admin', 'orphaned', '-d', display]),
  ['get_wflows'],
  ['get_fws'],
  ['get_wfs', '-i', '2,5', '-d', 'ids'],
  ['get_wflows', '-i', '2', '-d', 'all'],
  ['get_wflows', '-n', 'my wf', '-d', 'more'],
  ['get_wflows', '-n', 'nobody', '-d', 'more'],
  ['get_wflows', '-s', 'COMPLETED', '-m', '1', '-d', 'less'],
  ['get_wflows', '-s', 'archived'],
  ['get_wflows', '-q', `{'metadata.kind': 'test'}`, '-d', 'all'],
  ['get_wflows', '--sort', 'created_on', '-m', '4', '-d', 'ids'],
  ['get_wflows', '--rsort', 'updated_on', '-m', '3', '-d', 'ids'],
  ['get_fws', '-i', '1', '-d', 'all'],
  ['get_fws', '-i', '24', '-d', 'all'],
  ['get_fws', '-i', '3,1,9', '-d', 'more'],
  ['get_fws', '-n', 'lost', '-d', 'less'],
  ['get_fws', '-s', 'FIZZLED', '-d', 'more'],
  ['get_fws', '-s', 'RUNNING'],
  ['get_fws', '-s', 'COMPLETED', '-d', 'count'],
  ['get_fws', '--sort', 'created_on', '-m', '5', '-d', 'ids'],
  ['get_fws', '--rsort', 'created_on', '-m', '5', '-d', 'ids'],
  ['get_fws', '--rsort', 'updated_on', '-q', `{'state': 'FIZZLED'}`, '-d', 'ids'],
  ['get_fws', '-q', `{'spec.num': 1.5, 'state': {'$in': ['READY', 'COMPLETED']}}`, '-d', 'ids'],
  ['get_fws', '-lm', '-q', `{'state': 'COMPLETED'}`, '-d', 'ids'],
  ['get_fws', '-lm', '-q', `{'state': 'FIZZLED'}`, '-m', '2', '-d', 'less'],
  ['get_fws', '--qid', 'q14', '-d', 'more'],
  ['get_fws', '--qid', 'q14', '-s', 'READY', '-d', 'ids'],
  ['get_fws_in_wflows', '-wfs', 'FIZZLED', '-fws', 'FIZZLED', '-d', 'count'],
  ['get_fws_in_wfs', '-wfi', '1,4', '-fwq', `{'state': {'$ne': 'READY'}}`, '-d', 'ids'],
  ['get_fws_in_wflows', '-wfq', `{'name': {'$in': ['old', 'off']}}`, '-fwn', 'old 2'],
  ['get_fws_in_wflows', '-fws', 'FIZZLED', '--sort', 'created_on', '-m', '3', '-d', 'ids'],
  ['get_fws_in_wflows', '-lm', '-fwq', `{'state': 'COMPLETED'}`, '-d', 'ids'],
  ['-o', 'yaml', 'get_wflows', '-d', 'more'],
  ['-o', 'yaml', 'get_wflows', '-d', 'all', '-i', '1'],
  ['-o', 'yaml', 'get_fws', '-d', 'less'],
  // Python's YAML has no integers of 64 bits, and puts a stack trace in quotes where ours is a readable block.
  ['-o', 'yaml', 'get_fws', '-d', 'all', '-i', '6,24,14'],
  ['-o', 'yaml', 'get_fws', '-d', 'ids', '-s', 'PAUSED'],
  ['get_launchdir', '2'],
  ['get_launchdir', '2', '--launch_idx', '0'],
  ['get_launchdir', '3'],
  ['get_qids', '-i', '14,2,15'],
  ['track_fws', '-i', '9'],
  ['track_fws', '-i', '9', '-c', 'none'],
  ['track_fws', '-i', '9', '-x', 'none'],
  ['track_fws', '-q', '{}'],
  ['track_fws', '-n', 'tracking', '-m', '1'],
  ['report'],
  ['report', '-c', 'launches', '-i', 'hours'],
  ['report', '-c', 'wflows', '-i', 'years', '-n', '0'],
  ['report', '-c', 'workflows', '-i', 'months', '-q', `{'state': 'FIZZLED'}`],
  ['report', '-n', '1', '-i', 'minutes', '-q', `{'name': 'nobody'}`],
  ['introspect'],
  ['introspect', '-m', '2', '-t', '60'],
  ['detect_unreserved'],
  ['detect_unreserved', '--time', '0'],
  ['detect_unreserved', '--time', '0', '-d', 'ids'],
  ['detect_unreserved', '--time', '0', '-d', 'more'],
  ['detect_lostruns', '--time', '0', '-q', SOME],
  ['detect_lostruns', '--time', '0', '-q', SOME, '-d', 'ids'],
  ['detect_lostruns', '--time', '0', '-q', SOME, '-d', 'more'],
  ['detect_lostruns', '--time', '0', '-q', SOME, '-d', 'none'],
  ['detect_lostruns', '--time', '0', '-lq', `{'launch_id': 999}`],
  ['detect_lostruns', '--time', '0', '--min_runtime', '5'],
];

test.skipIf(!python)(
  'ours and Python FireWorks print the same',
  async () => {
    const lines = SHOWN.map((line) => ['my_launchpad.yaml', ...line]);
    const [their, our] = [await theirs(lines), await ours(lines)];
    const said = (texts: readonly string[]) =>
      Object.fromEntries(
        SHOWN.map((line, i) => {
          const lines = unfolded(data(texts[i] ?? '')).split('\n');
          // Python tells equal differences in the order of a set, which is another one each time.
          return [line.join(' '), line[0] === 'introspect' ? lines.sort() : lines];
        }),
      );
    expect(our.map(({ err }) => err)).toEqual(our.map(() => ''));
    expect(said(our.map(({ out }) => out))).toEqual(said(their));
  },
  120_000,
);

/** One change, made by Python's lpad in one database and by ours in another. */
interface Changing {
  /** Command lines, one after the other. */
  lines: string[][];
  /** What Python does instead, where its lpad has a mistake that its library has not. */
  api?: string;
  /** What Python leaves that we do not: `theirs` is changed to what ours should be. With the reason. */
  unlike?: (theirs: Snapshot) => void;
}

const id = (...ids: number[]) => ['-i', ids.join(',')];
const change = (...words: string[]): Changing => ({ lines: [words] });

/**
 * Python writes the history of what it recovered with BSON dates, where all else has strings; overwrites the checkpoint and
 * the ping that it has just written; and tells what it lacks as a stack trace.
 */
const recovery = (...words: string[]): Changing => ({
  lines: [words],
  unlike(theirs) {
    for (const launch of theirs.launches ?? []) {
      const { state_history: history, action, fw_id } = launch;
      for (const entry of history)
        for (const [key, value] of Object.entries(entry)) if (value === '<date>') entry[key] = '<iso+00:00>';
      const failure = action?.stored_data?._exception;
      if (fw_id === 18 && failure)
        failure._stacktrace = 'There is no FW_offline.json in <dir> on this machine';
      if (fw_id === 16 && launch.state === 'RUNNING') history[1].checkpoint = { _task_n: 0 };
    }
  },
});

const CHANGES: Changing[] = [
  change('rerun_fws', ...id(2)),
  change('rerun_fws', ...id(1)),
  change('rerun_fws', '-s', 'FIZZLED'),
  change('rerun_fws', '-n', 'half'),
  change('rerun_fws', '-q', `{'spec.bad': True}`),
  change('rerun_fws', '-lm', '-q', `{'state': 'FIZZLED', 'fw_id': {'$lt': 8}}`),
  change('rerun_fws', ...id(7), '--task-level'),
  change('rerun_fws', ...id(7), '--task-level', '-cp'),
  change('rerun_fws', ...id(7), '--task-level', '--previous-dir'),
  change('rerun_fws', ...id(7, 2), '--task-level', '-lid', '6', '5', '--copy-data'),
  change('rerun_fws', ...id(20, 22)),
  {
    ...change('rerun_fws', ...id(12)),
    // Python leaves the launch RUNNING, and its worker learns nothing: its results would still come.
    unlike(theirs) {
      const launch = theirs.launches?.find(({ fw_id }) => fw_id === 12);
      launch?.state_history.push({ state: 'FIZZLED', created_on: '<iso+00:00>' });
      Object.assign(launch ?? {}, { state: 'FIZZLED', time_end: '<iso+00:00>', runtime_secs: '<float>' });
    },
  },
  change('pause_fws', ...id(3, 4, 14)),
  change('pause_fws', '-q', `{'state': 'WAITING', 'fw_id': {'$lt': 19}}`),
  change('resume_fws', ...id(5)),
  change('resume_fws', '-s', 'PAUSED'),
  change('defuse_fws', ...id(1)),
  change('defuse_fws', ...id(2, 3)),
  change('reignite_fws', '-s', 'DEFUSED'),
  change('pause_wflows', ...id(4)),
  change('reignite_wflows', '-s', 'DEFUSED'),
  change('reignite_wfs', ...id(23)),
  // Python's lpad pauses here.
  { ...change('defuse_wflows', ...id(2)), api: 'pad.defuse_wf(1, defuse_all_states=False)' },
  { ...change('defuse_wflows', ...id(2), '--defuse_all_states'), api: 'pad.defuse_wf(1)' },
  change('archive_wflows', ...id(1, 5)),
  change('archive_wfs', '-s', 'FIZZLED'),
  change('delete_wflows', ...id(2)),
  change('delete_wfs', ...id(24, 14)),
  change('delete_wflows', ...id(9), '--ldirs'),
  change('delete_wflows', '-s', 'FIZZLED', '--password', today()),
  // Python's lpad takes no notice of the name and deletes everything.
  { ...change('delete_wflows', '-n', 'scripts'), api: 'pad.delete_wf(4)' },
  change('update_fws', ...id(3), '-u', '{"a": {"b": 2.0}, "_tasks.0.script": "echo changed", "n": null}'),
  change('update_fws', ...id(1, 2), '-u', '{"x": 9007199254740993}'),
  change(
    'update_fws',
    '-s',
    'FIZZLED',
    '-u',
    '{"$unset": {"spec.n": ""}, "$set": {"name": "new"}}',
    '--mongo',
  ),
  change('set_priority', '7', ...id(3)),
  change('set_priority', '-4', '-s', 'READY'),
  change('set_priority', '9', ...id(2), '-wf'),
  change('cancel_qid', '--qid', 'q16'),
  change('cancel_qid', '--qid', 'unknown'),
  change('detect_unreserved', '--time', '0'),
  change('detect_unreserved', '--time', '0', '--rerun'),
  change('detect_lostruns', '--time', '0', '-q', SOME),
  change('detect_lostruns', '--time', '0', '--fizzle', '-q', SOME),
  change('detect_lostruns', '--time', '0', '--rerun', '-q', `{'name': 'lost'}`),
  change('detect_lostruns', '--time', '0', '--refresh'),
  change('detect_lostruns', '--time', '0', '--fizzle', '--max_runtime', '1', '-q', `{'name': 'lost'}`),
  change('detect_lostruns', '--time', '0', '--fizzle', '--min_runtime', '100'),
  change('detect_lostruns', '--time', '0', '--rerun', '-q', `{'name': 'lost'}`, '-lq', `{'fw_id': 11}`),
  recovery('recover_offline'),
  recovery('recover_offline', '-i'),
  recovery('recover_offline', '-w', 'worker.yaml', '-pe'),
  change('recover_offline', '-w', 'other_worker.yaml'),
  { ...recovery('recover_offline'), lines: [['forget_offline', ...id(14, 16)], ['recover_offline']] },
  change('forget_offline', '-n', 'done'),
  change('admin', 'refresh', ...id(13)),
  change('admin', 'refresh', '-s', 'FIZZLED'),
  change('admin', 'unlock', ...id(26)),
  change('admin', 'maintain'),
  change('admin', 'orphaned', '--remove'),
  change('admin', 'tuneup'),
  change('add', 'wf.yaml', 'more.json'),
  change('add', '-d', 'many'),
  change('add_scripts', 'echo 1', 'echo 2', 'echo 3', '-n', 'a', 'b', 'c', '-w', 'abc'),
  change('add_scripts', 'echo 1', '-n', 'alone'),
  change('append_wflow', ...id(2), '-f', 'more.json'),
  change('append_wflow', ...id(4), '-f', 'more.json', '--detour'),
  change('append_wflow', ...id(1), '-f', 'more.json', '--no_pull_spec_mods'),
  change('reset', '--password', today()),
];

/** Everything that a LaunchPad has, actions in GridFS as well. */
async function contents(name: string): Promise<Snapshot> {
  await using pad = await LaunchPad.open(settingsOf(name));
  const files = pad.db.collection('fw_gridfs.files').find({}, { projection: { metadata: 1, _id: 0 } });
  return {
    ...(await snapshot(pad)),
    files: await files.toArray(),
    chunks: [{ count: await pad.db.collection('fw_gridfs.chunks').countDocuments() }],
  };
}

const COLLECTIONS = ['fireworks', 'launches', 'workflows', 'offline_runs', 'fw_id_assigner'];

async function copyTo(name: string): Promise<void> {
  await config(name);
  for (const collection of [...COLLECTIONS, 'fw_gridfs.files', 'fw_gridfs.chunks']) {
    const documents = await base.db.collection(collection).find({}, TYPED).toArray();
    await base.client.db(name).collection(collection).insertMany(documents);
  }
}

test.skipIf(!python)(
  'ours and Python FireWorks leave the same',
  async () => {
    for (const i of CHANGES.keys()) for (const who of ['py', 'ts']) await copyTo(`${who}_${i}`);
    const flat = CHANGES.map(({ lines, api }, i) =>
      (api ? [['api', api]] : lines).map((line) => [`py_${i}.yaml`, ...line]),
    );
    const theySaid = await theirs(flat.flat());
    const weSaid = await ours(
      CHANGES.flatMap(({ lines }, i) => lines.map((line) => [`ts_${i}.yaml`, ...line])),
    );
    const failed = theySaid.filter((text) => text.includes('failed:'));
    expect(failed).toEqual([]);
    expect(weSaid.map(({ err }) => err).filter(Boolean)).toEqual([]);
    const they: Record<string, Snapshot> = {};
    const we: Record<string, Snapshot> = {};
    for (const [i, { lines, unlike }] of CHANGES.entries()) {
      const name = lines.map((line) => line.join(' ')).join('; ');
      const their = await contents(`py_${i}`);
      unlike?.(their);
      they[name] = their;
      we[name] = await contents(`ts_${i}`);
    }
    expect(we).toEqual(they);
  },
  300_000,
);

test.skipIf(!python)(
  'ours and Python FireWorks write the same workflow files',
  async () => {
    const roots = [1, 4, 6, 9, 16, 21, 24, 26];
    const dumps = (who: string, format: string) =>
      roots.map((fwId) => [
        ...['my_launchpad.yaml', 'dump_wflow', '-i', String(fwId)],
        ...['-f', `${who}_${fwId}.${format}`],
      ]);
    await theirs([...dumps('py', 'json'), ...dumps('py', 'yaml')]);
    const ran = await ours([...dumps('ts', 'json'), ...dumps('ts', 'yaml')]);
    expect(ran.map(({ code, err }) => [code, err])).toEqual(ran.map(() => [0, '']));
    const read = (name: string) => readFile(join(cwd, name), 'utf8');
    for (const fwId of roots) {
      expect(await read(`ts_${fwId}.json`)).toBe(await read(`py_${fwId}.json`));
      // Python folds long lines, has a space in a workflow's dates, and cannot write an integer of 64 bits.
      const yaml = (await read(`py_${fwId}.yaml`)).replaceAll(/^(\w+_on: \S+) (\S+)$/gm, '$1T$2');
      if (fwId !== 1) expect(parse(await read(`ts_${fwId}.yaml`))).toEqual(parse(yaml));
    }
    // And each reads the other's. (What had run would share its launches with the original in Python: ours is new work.)
    for (const who of ['py', 'ts']) await copyTo(`${who}_add`);
    const files = ['26.json', '26.yaml'];
    const [added] = await theirs([['py_add.yaml', 'add', ...files.map((file) => `ts_${file}`)]]);
    expect(added).not.toContain('failed');
    const [ownAdded] = await ours([['ts_add.yaml', 'add', ...files.map((file) => `py_${file}`)]]);
    expect(ownAdded?.err).toBe('');
    expect(await contents('ts_add')).toEqual(await contents('py_add'));
  },
  60_000,
);

test.skipIf(!python)("the commands and flags that ours are compared with are Python's", async () => {
  const script = resolve(import.meta.dir, '../scripts/lpad_grammar.py');
  const child = Bun.spawn([python as string, script], { stdout: 'pipe', stderr: 'inherit' });
  const printed: unknown = JSON.parse(await new Response(child.stdout).text());
  expect(printed).toEqual(fireworks);
});

const REFUSED: string[][] = [
  ['nonsense'],
  ['get_fws', '--nonsense'],
  ['get_fws', '-i', '1', '-s', 'READY'],
  ['get_fws', '-i', 'one'],
  ['get_fws', '-q', 'state=READY'],
  ['get_fws', '--qid', 'unknown'],
  ['get_wflows', '-s', 'NOPE'],
  ['get_wflows', '-d', 'most'],
  ['get_launchdir', '999'],
  ['get_launchdir', '2', '--launch_idx', '7'],
  ['rerun_fws', '-i', '999'],
  ['rerun_fws', '-i', '4', '--task-level'],
  ['rerun_fws', '-i', '7', '--task-level', '-lid', '1'],
  ['rerun_fws', '-i', '7', '--task-level', '-lid', '6', '7'],
  ['rerun_fws', '-i', '7', '--task-level', '-cp', '-pd'],
  ['pause_fws', '-q', '{}', '--password', '2001-01-01'],
  ['delete_wflows', '-i', '999'],
  ['archive_wflows', '-q', '{}'],
  ['set_priority', 'high', '-i', '1'],
  ['update_fws', '-i', '1', '-u', 'a=b'],
  ['add', 'nothing.yaml'],
  ['append_wflow', '-i', '999', '-f', 'more.json'],
  ['dump_wflow', '-i', '999', '-f', 'dump.json'],
  ['dump_wflow', '-i', '1', '-f', 'dump.txt'],
  ['report', '-i', 'weeks'],
  ['report', '-c', 'nothing'],
  ['reset', '--password', '2001-01-01'],
];

test.skipIf(!python)(
  'what Python FireWorks refuses is refused, and changes nothing',
  async () => {
    await copyTo('refused');
    const before = await contents('refused');
    const lines = REFUSED.map((line) => ['refused.yaml', ...line]);
    const failures = (await theirs(lines)).map((text) => text.includes('failed:'));
    expect(failures).toEqual(failures.map(() => true));
    const ran = await ours(lines);
    const said = ran.map(({ code, err }, i) => [REFUSED[i]?.join(' '), code > 0, err.startsWith('error: ')]);
    expect(said).toEqual(REFUSED.map((line) => [line.join(' '), true, true]));
    expect(await contents('refused')).toEqual(before);
  },
  60_000,
);
