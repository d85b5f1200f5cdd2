/** The commands that look after a LaunchPad: locks, orphans, reservations, offline runs; and what all of them share. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'bun:test';
import { exists, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  addOfflineRun,
  addWorkflows,
  claim,
  LaunchPad,
  launchPadSettings,
  newWorkflow,
  reserve,
  setReservationId,
} from '../../core/launchpad/index.ts';
import { type Mongo, startMongo } from '../../sandbox/mongo/server.ts';
import { type Program, program, type Ran } from '../series.ts';
import { today } from './session.ts';

let mongo: Mongo;
let cwd: string;
let pad: LaunchPad;
let ctl: Program;
const worker = { name: 'w', category: '', query: {}, env: {} };

beforeAll(async () => {
  mongo = await startMongo();
  ctl = program();
});
afterAll(async () => {
  await ctl[Symbol.asyncDispose]();
  await mongo.stop();
});

beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'lpad-admin-'));
  const settings = { host: '127.0.0.1', port: mongo.port, name: `fw_${crypto.randomUUID().slice(0, 8)}` };
  await write('my_launchpad.yaml', JSON.stringify(settings));
  pad = await LaunchPad.open(launchPadSettings(settings, 'test'));
  await pad.reset();
});
afterEach(async () => {
  await pad.close();
  await rm(cwd, { recursive: true });
});

const write = (name: string, text: string | Uint8Array) => writeFile(join(cwd, name), text);
const lpad = (...lines: string[][]): Promise<Ran[]> => ctl.run(lines, { cwd, calledAs: 'lpad' });
const json = (ran: Ran | undefined) => JSON.parse(ran?.out ?? '');
const add = (...names: string[]) =>
  addWorkflows(
    pad,
    names.map((name) =>
      newWorkflow({ name, spec: { _tasks: [{ _fw_name: 'ScriptTask', script: 'true' }] } }),
    ),
  );

test('archives of workflow files, strictly', async () => {
  const wf = (script: string) => `{"spec": {"_tasks": [{"_fw_name": "ScriptTask", "script": "${script}"}]}}`;
  const bad = `fws: [{fw_id: 1, spec: {_tasks: [{_fw_name: ScripTask}]}}]`;
  const pack = (files: Record<string, string>) => new Bun.Archive(files, { compress: 'gzip' }).bytes();
  await write(
    'good.tar.gz',
    await pack({ 'b.yaml': `name: b\n${wf('b').slice(1, -1)}`, 'in/a.json': wf('a'), '._b.yaml': '?' }),
  );
  await write('bad.tgz', await pack({ 'a.json': wf('a'), 'in/bad.yaml': bad }));
  await write('readme.tar.gz', await pack({ 'a.json': wf('a'), README: 'hello' }));
  await write('empty.tar.gz', await pack({}));
  await write('no.tar.gz', 'this is no archive');
  const [good, ...faults] = await lpad(
    ['add', 'good.tar.gz', '--json'],
    ...['bad.tgz', 'readme.tar.gz', 'empty.tar.gz', 'no.tar.gz'].map((name) => ['add', 'good.tar.gz', name]),
  );
  expect(json(good).map(({ file }: { file: string }) => file)).toEqual([
    'good.tar.gz/b.yaml',
    'good.tar.gz/in/a.json',
  ]);
  expect(faults.map(({ code }) => code)).toEqual([2, 2, 2, 2]);
  expect(faults[0]?.err).toContain('bad.tgz/in/bad.yaml: fws[0].spec._tasks[0]._fw_name');
  expect(faults[1]?.err).toContain('readme.tar.gz/README');
  expect(faults[2]?.err).toContain('empty.tar.gz');
  expect(faults[3]?.err).toContain('no.tar.gz');
  expect(await pad.workflows.countDocuments()).toBe(2);
});

test('YAML keeps what Python keeps: integers of 64 bits, floats, words, times', async () => {
  await write(
    'wf.yaml',
    'spec:\n  big: 9007199254740993\n  f: 1.0\n  yes: yes\n  at: 2026-01-02 03:04:05.5\n  _tasks: [{_fw_name: ScriptTask, script: a}]\n',
  );
  await write('huge.yaml', 'spec: {n: 99999999999999999999, _tasks: []}\n');
  const [, shown, huge] = await lpad(['add', 'wf.yaml'], ['get_fws', '-d', 'all'], ['add', 'huge.yaml']);
  expect(shown?.out).toContain('"big": 9007199254740993,\n        "f": 1.0,\n        "yes": "yes",');
  expect(shown?.out).toContain('"at": "2026-01-02T03:04:05.500000"');
  expect(huge).toMatchObject({ code: 2, err: expect.stringContaining('99999999999999999999') });
});

test('add -c and check_wflow follow the data', async () => {
  const task = (inputs: string, outputs: string) =>
    `{_fw_name: PyTask, func: f, inputs: [${inputs}], outputs: [${outputs}]}`;
  await write(
    'flow.yaml',
    `fws:\n- {fw_id: 1, spec: {_tasks: [${task('', 'a')}]}}\n- {fw_id: 2, spec: {_tasks: [${task('b', '')}]}}\nlinks: {1: 2}\n`,
  );
  const [refused, added, checked, data] = await lpad(
    ['add', '-c', 'flow.yaml'],
    ['add', 'flow.yaml'],
    ['check_wflow', '-i', '1'],
    ['check_wflow', '-i', '1', '--json'],
  );
  expect(refused).toMatchObject({
    code: 2,
    err: expect.stringContaining("flow.yaml: Firework 2 (Unnamed FW): the input 'b'"),
  });
  expect(added?.code).toBe(0);
  expect(checked).toMatchObject({
    code: 1,
    out: expect.stringContaining("the input 'b' comes from nowhere"),
  });
  expect(json(data)).toHaveLength(1);
});

test('locks of all workflows are taken away at once, and only locks', async () => {
  await add('a', 'b', 'c');
  await pad.workflows.updateMany({ nodes: { $in: [1, 3] } }, { $set: { locked: true } });
  const [all, none] = await lpad(['admin', 'unlock', '--json'], ['unlock', '--json']);
  expect(json(all)).toEqual({ fw_ids: [1, 3], refused: [] });
  expect(json(none)).toEqual({ fw_ids: [], refused: [] });
  expect(await pad.workflows.countDocuments({ locked: { $exists: true } })).toBe(0);
});

test('orphans are shown, and deleted with their launches', async () => {
  await add('a', 'b');
  await claim(pad, worker, { fwId: 2, launchDir: () => join(cwd, 'launch') });
  await mkdir(join(cwd, 'launch'));
  await pad.workflows.deleteOne({ nodes: 2 });
  const [ids, removed, left] = await lpad(
    ['orphaned', '-d', 'ids'],
    ['admin', 'orphaned', '--remove', '--ldirs', '--json'],
    ['get_fws', '-d', 'ids'],
  );
  expect(json(ids)).toBe(2);
  expect(json(removed)).toEqual({ fw_ids: [2] });
  expect(json(left)).toBe(1);
  expect(await exists(join(cwd, 'launch'))).toBe(false);
});

test('reservations by the id of the queue, and offline runs of one worker', async () => {
  await add('a', 'b');
  for (const fwId of [1, 2]) {
    const folder = join(cwd, `run${fwId}`);
    await mkdir(folder);
    await write(`run${fwId}/FW_offline.json`, '{"started_on": "2026-01-02T03:04:05+00:00"}');
    const reserved = await reserve(pad, { ...worker, name: `w${fwId}` }, { fwId, launchDir: () => folder });
    await setReservationId(pad, reserved?.launchId ?? 0, `q${fwId}`);
    await addOfflineRun(pad, { launchId: reserved?.launchId ?? 0, fwId }, 'x');
  }
  await write('w2.yaml', 'name: w2\n');
  await write('noname.yaml', 'category: x\n');
  const [qids, words, offline, noName, cancelled, unknown, old, missing] = await lpad(
    ['get_qids', '-i', '1,2,9', '--json'],
    ['reservations', '-i', '2,9'],
    ['recover_offline', '-w', 'w2.yaml', '--json'],
    ['recover_offline', '-w', 'noname.yaml'],
    ['cancel_qid', '--qid', 'q1', '--json'],
    ['cancel_qid', '--qid', 'q2'],
    ['detect_unreserved', '--time', '0', '--json'],
    ['cancel_qid'],
  );
  expect(json(qids).map((one: { reservation_id: string }) => one.reservation_id)).toEqual(['q1', 'q2', null]);
  expect(words?.out).toBe('q2\nNone\n');
  expect(json(offline)).toEqual({ recovered: [2], failed: [] });
  expect(noName).toMatchObject({ code: 2, err: expect.stringContaining('noname.yaml: name') });
  expect(json(cancelled)).toEqual({ reservation_id: 'q1', cancelled_launch_id: 1 });
  expect(unknown?.out).toContain("Can't find any reserved jobs with reservation id: q2");
  expect(json(old)).toEqual({ launch_ids: [], fw_ids: [], cancelled: false });
  expect(missing).toMatchObject({ code: 2, err: expect.stringContaining('--qid is missing') });
  const states = await pad.fireworks.find({}, { sort: { fw_id: 1 } }).toArray();
  expect(states.map(({ state }) => state)).toEqual(['READY', 'RUNNING']);
});

test('a rerun recovers only as far as its flags agree', async () => {
  await add('a');
  const [alone, both, many, nothing] = await lpad(
    ['rerun_fws', '-i', '1', '-cp'],
    ['rerun_fws', '-i', '1', '--task-level', '-cp', '-pd'],
    ['rerun_fws', '-i', '1', '--task-level', '-lid', '1', '2'],
    ['rerun_fws', '-i', '1', '--task-level'],
  );
  expect(alone).toMatchObject({ code: 2, err: expect.stringContaining('needs --task-level') });
  expect(both).toMatchObject({
    code: 2,
    err: expect.stringContaining('one of --copy-data and --previous-dir'),
  });
  expect(many).toMatchObject({ code: 2, err: expect.stringContaining('1 Fireworks, but 2 launch ids') });
  expect(nothing).toMatchObject({ code: 1, err: expect.stringContaining('no launch to recover from') });
});

test('consent: today, or --yes, and the question names the database and the count', async () => {
  await add('a', 'b');
  const [asked, wrong, yes] = await lpad(
    ['delete_wflows'],
    ['delete_wflows', '--password', '2001-01-01', '--yes'],
    ['delete_wflows', '--yes', '--json'],
  );
  expect(asked).toMatchObject({ code: 1, err: expect.stringContaining(`--password ${today()}`) });
  expect(asked?.out).toMatch(/This will delete 2 workflows of 127\.0\.0\.1:\d+\/fw_\w+/);
  expect(wrong?.err).toContain("is not today's date");
  expect(json(yes)).toEqual({ fw_ids: [1, 2], refused: [] });
  await add('a');
  const [reset] = await lpad(['reset', '--yes', '--json']);
  expect(json(reset)).toEqual({ reset: pad.settings.name });
  expect(await pad.workflows.countDocuments()).toBe(0);
});

test('--json of what looks after things, and of what is not here', async () => {
  const [maintained, introspected, tracked, lost, webgui, table] = await lpad(
    ['maintain', '--json'],
    ['introspect', '--json'],
    ['track_fws', '-q', '{}', '--json'],
    ['recover_offline', '--json'],
    ['webgui', '--port', '5001'],
    ['get_wflows', '-t'],
  );
  expect(json(maintained)).toEqual({
    ...{ lost_launch_ids: [], lost_fw_ids: [], inconsistent_fw_ids: [] },
    unreserved_launch_ids: [],
  });
  expect(json(introspected)).toEqual({ launches: [], tasks: [], fireworks: [], workflows: [] });
  expect(json(tracked)).toEqual([]);
  expect(json(lost)).toEqual({ recovered: [], failed: [] });
  expect(webgui).toMatchObject({ code: 1, out: '', err: expect.stringContaining('no web page') });
  expect(table?.code).toBe(0);
});

test('maintain --infinite goes on until it is told to stop', async () => {
  const main = join(import.meta.dir, '..', 'main.ts');
  const child = Bun.spawn(
    [process.execPath, main, 'lpad', 'maintain', '--infinite', '--maintain_interval', '1'],
    {
      cwd,
      env: { PATH: process.env.PATH ?? '', HOME: cwd },
      stdout: 'pipe',
      stderr: 'inherit',
    },
  );
  let text = '';
  for await (const chunk of child.stdout) {
    text += new TextDecoder().decode(chunk);
    if (text.split('LaunchPad was MAINTAINED').length > 2) child.kill('SIGTERM');
  }
  expect(await child.exited).toBe(0);
}, 60_000);
