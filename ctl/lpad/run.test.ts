import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'bun:test';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Mongo, startMongo } from '../../sandbox/mongo/server.ts';
import { type Program, program, type Ran, series } from '../series.ts';
import { today } from './session.ts';

let mongo: Mongo;
let cwd: string;
let ctl: Program;

beforeAll(async () => {
  mongo = await startMongo();
  ctl = program();
});
afterAll(async () => {
  await ctl[Symbol.asyncDispose]();
  await mongo.stop();
});

beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'lpad-'));
  // A database of its own for each test.
  const name = `fw_${crypto.randomUUID().slice(0, 8)}`;
  await write('my_launchpad.yaml', `host: 127.0.0.1\nport: ${mongo.port}\nname: ${name}\n`);
});
afterEach(() => rm(cwd, { recursive: true }));

const write = (name: string, text: string) => writeFile(join(cwd, name), text);
const reset = ['reset', '--password', today()];

async function lpad(...lines: string[][]): Promise<Ran[]> {
  return await ctl.run(lines, { cwd, calledAs: 'lpad' });
}

const WORKFLOW = `
name: letters
metadata: {kind: test}
fws:
- {fw_id: 10, name: a, spec: {num: 1.0, _tasks: [{_fw_name: ScriptTask, script: echo a}]}}
- {fw_id: 20, name: b, spec: {_tasks: [{_fw_name: ScriptTask, script: echo b}]}}
- {fw_id: 30, name: c, spec: {_tasks: [{_fw_name: ScriptTask, script: echo c}]}}
links: {10: [20], 20: [30]}
`;

const json = (ran: Ran | undefined) => JSON.parse(ran?.out ?? '');

test('a workflow is added, shown at every level, changed, appended to, dumped and deleted', async () => {
  await write('wf.yaml', WORKFLOW);
  await write('more.yaml', 'spec: {_tasks: [{_fw_name: ScriptTask, script: echo more}]}\nname: more\n');
  const ran = await lpad(
    reset,
    ['add', 'wf.yaml'],
    ['get_wflows', '-d', 'less'],
    ['get_wflows', '-d', 'all'],
    ['get_fws', '-i', '1', '-d', 'all'],
    ['get_fws', '-d', 'ids', '--rsort', 'created_on'],
    ['get_fws', '-s', 'WAITING', '-d', 'count'],
    ['pause_fws', '-i', '2'],
    ['pause_fws', '-i', '2'],
    ['resume_fws', '-i', '2'],
    ['defuse_wflows', '-n', 'letters'],
    ['reignite_wfs', '-i', '3'],
    ['update_fws', '-i', '1', '-u', '{"_tasks.0.script": "echo changed", "f": 2.0}'],
    ['set_priority', '7', '-i', '1', '-wf'],
    ['append_wflow', '-i', '3', '-f', 'more.yaml'],
    ['check_wflow', '-i', '1'],
    ['dump_wflow', '-i', '1', '-f', 'dump.json'],
    ['dump_wflow', '-i', '1', '-f', 'dump.yaml'],
    ['get_fws_in_wflows', '-wfn', 'letters', '-fws', 'WAITING', '-d', 'ids'],
    ['add', '-s', 'dump.json', 'dump.yaml'],
    ['delete_wflows', '-i', '2'],
    ['get_wflows', '-d', 'ids'],
  );
  expect(ran.map(({ code }) => code)).toEqual(ran.map((_, i) => (i === 8 ? 1 : 0)));
  expect(ran[1]?.out).toMatch(
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO Added a workflow. id_map: \{10: 1, 20: 2, 30: 3\}\n$/,
  );
  expect(json(ran[2])).toMatchObject({ name: 'letters--1', state: 'READY', states_list: 'REA-W-W' });
  expect(json(ran[3])).toMatchObject({
    links: { 'a--1': ['b--2'], 'b--2': ['c--3'], 'c--3': [] },
    metadata: { kind: 'test' },
  });
  expect(json(ran[4])).toMatchObject({ fw_id: 1, name: 'a', state: 'READY', spec: { num: 1 } });
  expect(json(ran[5]).sort()).toEqual([1, 2, 3]);
  expect(ran[6]?.out).toBe('2\n');
  expect(ran[8]?.out).toContain('ERROR Firework 2 cannot be paused');
  expect(json(ran[18])).toEqual([2, 3, 4]);
  const dump = await readFile(join(cwd, 'dump.json'), 'utf8');
  expect(dump).toContain('"script": "echo changed"');
  expect(dump).toContain('"f": 2.0');
  expect(dump).toContain('"_priority": 7');
  expect(JSON.parse(dump).links).toEqual({ '1': [2], '2': [3], '3': [4], '4': [] });
  expect(ran[19]?.out).toBe('');
  expect(json(ran[21])).toHaveLength(2);
});

test('more than ten are not changed without an answer, and a wrong date changes nothing', async () => {
  const scripts = Array.from({ length: 11 }, (_, i) => `echo ${i}`);
  const count = ['get_fws', '-s', 'PAUSED', '-d', 'count'];
  const [, , none, , wrong, , right, paused, , del] = await lpad(
    reset,
    ['add_scripts', ...scripts],
    ['pause_fws', '-q', '{}'],
    count,
    ['pause_fws', '-q', '{}', '--password', '2001-01-01'],
    count,
    ['pause_fws', '-q', '{}', '--password', today()],
    count,
    ['resume_fws', '-s', 'PAUSED', '--password', today()],
    // Nothing selected is everything, and that is asked for however little it is.
    ['delete_wflows'],
  );
  expect(none).toMatchObject({ code: 1 });
  expect(none?.out).toMatch(/This will pause 11 Fireworks of 127\.0\.0\.1:\d+\/fw_\w+/);
  expect(wrong?.err).toContain("is not today's date");
  expect(right?.code).toBe(0);
  expect(paused?.out).toBe('11\n');
  expect(del?.code).toBe(1);
  const [yes, left] = await series([['delete_wflows'], ['get_wflows', '-d', 'count']], {
    cwd,
    calledAs: 'lpad',
    stdin: 'Y\n',
  });
  expect([yes?.code, left?.out]).toEqual([0, '0\n']);
});

test('reset asks for the name of the database, and tells how much would be gone', async () => {
  const [, , asked, left] = await lpad(
    reset,
    ['add_scripts', 'true'],
    ['reset'],
    ['get_wflows', '-d', 'count'],
  );
  expect(asked).toMatchObject({ code: 1, err: expect.stringContaining('Nothing was reset') });
  expect(asked?.out).toMatch(/RESET 127\.0\.0\.1:\d+\/fw_\w+: 1 workflows/);
  expect(left?.out).toBe('1\n');
});

test('init writes a file that can be read, for its owner alone', async () => {
  const answers = ['', String(mongo.port), 'other', '', '', '', ''].join('\n');
  const [init, back] = await series(
    [
      ['init', '--config-file', 'new.yaml'],
      ['-l', 'new.yaml', 'reset'],
    ],
    {
      cwd,
      calledAs: 'lpad',
      stdin: `${answers}\nother\n`,
    },
  );
  expect(init?.code).toBe(0);
  expect(back).toMatchObject({ code: 0, err: '' });
  const [tls] = await series([['init', '--config-file', 'tls.yaml']], {
    ...{ cwd, calledAs: 'lpad' },
    stdin: ['localhost', '1', 'fw', 'me', 'secret', '/ca.pem', 'admin'].join('\n'),
  });
  expect(tls?.code).toBe(0);
  expect(await readFile(join(cwd, 'tls.yaml'), 'utf8')).toContain('tlsCAFile: /ca.pem');
  expect((await Bun.file(join(cwd, 'new.yaml')).stat()).mode & 0o777).toBe(0o600);
});

test('--json says what was done as data, messages aside', async () => {
  const [, add, version, lost, report] = await lpad(
    reset,
    ['--json', 'add_scripts', 'true'],
    ['version', '--json'],
    ['detect_lostruns', '--json'],
    ['report', '--json'],
  );
  expect(json(add)).toEqual([{ id_map: { '0': 1 } }]);
  expect(add?.err).toContain('Added a workflow');
  expect(json(version)).toMatchObject({ fireworks: '2.1' });
  expect(json(lost)).toEqual({ lost_launch_ids: [], lost_fw_ids: [], inconsistent_fw_ids: [] });
  expect(json(report)[0]).toMatchObject({ count: 1, states: { READY: 1 } });
});
