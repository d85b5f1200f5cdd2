import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Mongo, startMongo } from '../../sandbox/mongo/server.ts';
import { type Program, program, type Ran } from '../series.ts';
import { today } from './session.ts';

let mongo: Mongo;
let cwd: string;
let ctl: Program;

beforeAll(async () => {
  mongo = await startMongo({ user: 'fw', password: 'right' });
  cwd = await mkdtemp(join(tmpdir(), 'lpad-bad-'));
  await launchPadFile('my_launchpad.yaml', 'password: right');
  ctl = program();
});
afterAll(async () => {
  await ctl[Symbol.asyncDispose]();
  await mongo.stop();
  await rm(cwd, { recursive: true });
});

const write = (name: string, text: string) => writeFile(join(cwd, name), text);
const launchPadFile = (name: string, more: string) =>
  write(name, `host: 127.0.0.1\nport: ${mongo.port}\nname: bad\nusername: fw\nauthsource: admin\n${more}\n`);
const lpad = (...lines: string[][]) => ctl.run(lines, { cwd, calledAs: 'lpad' });

/** One clear line on stderr, nothing on stdout, the right exit code. */
function expectFault(ran: Ran | undefined, code: 1 | 2, ...texts: string[]): void {
  expect([ran?.code, ran?.out]).toEqual([code, '']);
  expect(ran?.err.trim().split('\n')).toHaveLength(1);
  expect(ran?.err).toStartWith('error: ');
  for (const text of texts) expect(ran?.err).toContain(text);
}

test('a LaunchPad that refuses the password, or is not there', async () => {
  await launchPadFile('wrong.yaml', 'password: wrong-secret');
  await write(
    'away.yaml',
    'host: 127.0.0.1\nport: 1\nname: bad\nmongoclient_kwargs: {serverSelectionTimeoutMS: 300}\n',
  );
  const [wrong, away, missing] = await lpad(
    ['-l', 'wrong.yaml', 'get_fws'],
    ['-l', 'away.yaml', 'get_fws'],
    ['-l', 'nowhere.yaml', 'get_fws'],
  );
  expectFault(wrong, 1, `refused user 'fw'`, `127.0.0.1:${mongo.port}/bad`);
  expect(wrong?.err).not.toContain('wrong-secret');
  expectFault(away, 1, 'No LaunchPad answers at 127.0.0.1:1/bad');
  expectFault(missing, 2, 'nowhere.yaml');
});

test('settings files that are wrong', async () => {
  await launchPadFile('key.yaml', 'pasword: right');
  await launchPadFile('type.yaml', 'strm_lvl: LOUD');
  await write('port.yaml', 'host: 127.0.0.1\nport: twenty\n');
  await write('tabs.yaml', 'mongoclient_kwargs:\n\ta: 1\n');
  await write('text.yaml', 'just some words\n');
  const [key, type, port, tabs, text] = await lpad(
    ...['key', 'type', 'port', 'tabs', 'text'].map((name) => ['-l', `${name}.yaml`, 'get_fws']),
  );
  expectFault(key, 2, 'key.yaml', 'pasword', 'password');
  expectFault(type, 2, 'type.yaml', 'strm_lvl', 'LOUD', 'WARNING');
  expectFault(port, 2, 'port.yaml', 'port', 'twenty');
  expectFault(tabs, 2, 'tabs.yaml, line 2', 'tab');
  expectFault(text, 2, 'text.yaml');
});

test('workflow files that are wrong add nothing, not even the good ones beside them', async () => {
  const fw = (id: number, task = 'ScriptTask') =>
    `- {fw_id: ${id}, spec: {_tasks: [{_fw_name: ${task}, script: a}]}}`;
  const fws = `fws:\n${fw(1)}\n${fw(2)}\n`;
  await write('good.yaml', `${fws}links: {1: 2}\n`);
  await write('noyaml.yaml', 'fws: [\n');
  await write('nojson.json', '{"fws": [}');
  await write('cycle.yaml', `${fws}links: {1: 2, 2: 1}\n`);
  await write('parent.yaml', `${fws}links: {7: 2}\n`);
  await write('child.yaml', `${fws}links: {1: [2, 9]}\n`);
  await write('task.yaml', `fws:\n${fw(1)}\n${fw(2, 'ScripTask')}\n`);
  await write('key.yaml', `${fws}link: {1: 2}\n`);
  await write('fwkey.yaml', 'fws: [{fw_id: 1, spec: {_tasks: []}, specs: {}}]\n');
  await write('lone.yaml', 'tasks: []\n');
  await write('empty.yaml', '');
  const names = [
    'noyaml.yaml',
    'nojson.json',
    'cycle.yaml',
    'parent.yaml',
    'child.yaml',
    'task.yaml',
    'key.yaml',
    'fwkey.yaml',
    'lone.yaml',
    'empty.yaml',
    'none.yaml',
  ];
  const ran = await lpad(
    ['reset', '--password', today()],
    ...names.map((name) => ['add', 'good.yaml', name]),
    ['get_wflows', '-d', 'count'],
    ['get_fws', '-d', 'count'],
  );
  const faults = ran.slice(1, -2);
  for (const [i, name] of names.entries()) expectFault(faults[i], 2, name);
  const [, , cycle, parent, child, task, key, fwKey, lone] = faults;
  expect(cycle?.err).toContain('1 -> 2 -> 1');
  expect(parent?.err).toContain('links.7');
  expect(child?.err).toContain('fw_id 9');
  expect(task?.err).toContain('fws[1].spec._tasks[0]._fw_name');
  expect(key?.err).toContain('key.yaml: link: there is no such key. Known are fws, links');
  expect(fwKey?.err).toContain('fwkey.yaml: fws[0].specs: there is no such key');
  expect(lone?.err).toContain('lone.yaml: tasks: there is no such key. Known are spec');
  expect(ran.slice(-2).map(({ out }) => out)).toEqual(['0\n', '0\n']);
});

test('fw_ids that are not there, and flags that exclude each other', async () => {
  const [, missing, launchdir, both, pausing, update, query] = await lpad(
    ['reset', '--password', today()],
    ['rerun_fws', '-i', '1,2'],
    ['get_launchdir', '5'],
    ['get_fws', '-i', '1', '-s', 'READY'],
    ['pause_wflows', '-i', '3'],
    ['update_fws', '-i', '1', '-u', 'a=b'],
    ['get_fws', '-q', 'state=READY'],
  );
  expectFault(missing, 1, 'no Fireworks with fw_id 1, 2', 'nothing was changed');
  expectFault(launchdir, 1, 'no Firework with fw_id 5');
  expectFault(both, 2, 'fw_id and state');
  expectFault(pausing, 1, 'fw_id 3');
  expectFault(update, 2, '-u a=b');
  expectFault(query, 2, '-q state=READY');
});

test('no project, no zone, no LaunchPad file', async () => {
  const empty = await mkdtemp(join(tmpdir(), 'lpad-empty-'));
  const env = { CLOUDSDK_CONFIG: empty, GCE_METADATA_HOST: '127.0.0.1:1' };
  const up = ['up', 'x', '--count', '1', '-m', 'db=test'];
  const [project] = await ctl.run([up], { cwd: empty, env });
  const [zone] = await ctl.run([up], { cwd: empty, env: { ...env, CLOUDSDK_CORE_PROJECT: 'p' } });
  await rm(empty, { recursive: true });
  expectFault(project, 2, 'project', 'gcloud config set project');
  expectFault(zone, 2, 'zone', 'gcloud config set compute/zone');
});
