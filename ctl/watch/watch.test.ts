import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { addWorkflows, LaunchPad, launchPadSettings, newWorkflow } from '../../core/launchpad/index.ts';
import { type Mongo, startMongo } from '../../sandbox/mongo/server.ts';
import { program } from '../series.ts';
import type { Screen } from './screen.ts';
import { watch } from './watch.ts';
import { endOf } from './workflow.ts';

let cwd: string;
let mongo: Mongo;
let launchpad: LaunchPad;

beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'watch-'));
  mongo = await startMongo({ dir: join(cwd, 'mongo') });
  const raw = { host: '127.0.0.1', port: mongo.port, name: 'fw' };
  await writeFile(join(cwd, 'my_launchpad.yaml'), JSON.stringify(raw));
  launchpad = await LaunchPad.open(launchPadSettings(raw, 'test'), { serverSelectionTimeoutMs: 300 });
  await launchpad.reset();
});
afterEach(async () => {
  await launchpad.close();
  await mongo.stop();
  await rm(cwd, { recursive: true });
});

async function add(name: string, count = 1): Promise<void> {
  const fws = Array.from({ length: count }, (_, i) => ({ fw_id: i, name: 'fw', spec: { _tasks: [] } }));
  await addWorkflows(launchpad, [newWorkflow({ fws, links: {}, name })]);
}

/** What a worker would do to a workflow's states. */
async function set(name: string, state: string, states: Record<string, string>): Promise<void> {
  const fields = Object.entries(states).map(([id, one]) => [`fw_states.${id}`, one]);
  await launchpad.workflows.updateOne({ name }, { $set: { state, ...Object.fromEntries(fields) } });
}

/** Notes what is shown; `then` is called after each showing, with its number from 1. */
function notes(
  then: (times: number) => Promise<void>,
): Screen & { told: string[]; settled: () => Promise<void> } {
  const told: string[] = [];
  let times = 0;
  let work = Promise.resolve();
  return {
    told,
    settled: () => work,
    show() {
      const number = ++times;
      work = work.then(() => then(number));
    },
    tell: (text) => void told.push(text),
    end() {},
  };
}

test('watches until all have ended, those that come later too', async () => {
  await add('first', 2);
  const screen = notes(async (times) => {
    if (times === 1) await set('first', 'FIZZLED', { '1': 'FIZZLED', '2': 'RUNNING' });
    if (times === 2) await set('first', 'FIZZLED', { '1': 'FIZZLED', '2': 'COMPLETED' });
  });
  const { workflows, whole } = await watch(
    launchpad,
    { all: true, since: new Date() },
    screen,
    new AbortController().signal,
  );
  await screen.settled();
  expect(whole).toBe(true);
  expect(workflows.map(({ seen }) => [seen.name, endOf(seen)])).toEqual([['first', 'FIZZLED']]);
});

test('a LaunchPad that is restarted meanwhile is waited for', async () => {
  await add('only');
  const { port } = mongo;
  const screen = notes(async (times) => {
    if (times !== 1) return;
    await mongo.stop();
    await Bun.sleep(700);
    mongo = await startMongo({ dir: join(cwd, 'mongo'), port });
    await set('only', 'COMPLETED', { '1': 'COMPLETED' });
  });
  const { workflows } = await watch(launchpad, { fwIds: [1] }, screen, new AbortController().signal);
  await screen.settled();
  expect(workflows.map(({ seen }) => endOf(seen))).toEqual(['COMPLETED']);
}, 60_000);

test('a workflow that is deleted while it is watched is told of', async () => {
  await add('gone');
  const screen = notes(async () => void (await launchpad.workflows.deleteMany({})));
  const { workflows } = await watch(launchpad, { fwIds: [1] }, screen, new AbortController().signal);
  await screen.settled();
  expect(workflows).toMatchObject([{ deleted: true }]);
});

test('the command: exit codes, and why something failed', async () => {
  await using ctl = program();
  const [nothing] = await ctl.run([['watch']], { cwd });
  expect(nothing).toMatchObject({ code: 1, out: '' });
  expect(nothing?.err).toContain('There is nothing to watch');
  await add('good');
  await add('bad');
  await set('good', 'COMPLETED', { '1': 'COMPLETED' });
  await set('bad', 'FIZZLED', { '2': 'FIZZLED' });
  await launchpad.fireworks.updateOne({ fw_id: 2 }, { $set: { state: 'FIZZLED', launches: [1] } });
  const _exception = { _stacktrace: 'Traceback (most recent call last):\n  ...\nValueError: too hot\n' };
  await launchpad.launches.insertOne({ launch_id: 1, fw_id: 2, action: { stored_data: { _exception } } });
  const [all, good, bad, json, missing, both, query] = await ctl.run(
    [
      ['watch'],
      ['watch', '-i', '1'],
      ['watch', '-q', "{'name': 'bad'}"],
      ['watch', '-i', '2', '--json'],
      ['watch', '-i', '77'],
      ['watch', '-i', '1', '-q', '{}'],
      ['watch', '-q', "{'name': 'neither'}"],
    ],
    { cwd },
  );
  expect(all?.code).toBe(1);
  expect(all?.out).toContain('1 of 2 workflows COMPLETED');
  expect(good).toMatchObject({ code: 0, out: expect.stringContaining('1 workflow COMPLETED') });
  expect(bad?.code).toBe(1);
  expect(bad?.out).toContain('fw--2: ValueError: too hot\n    more: borealisctl lpad get_fws -i 2');
  const lines = json?.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines?.at(-2)).toMatchObject({
    state: 'FIZZLED',
    fizzled: [2],
    failures: [{ exception: 'ValueError: too hot' }],
  });
  expect(lines?.at(-1)).toEqual({ done: true, completed: 0, failed: 1 });
  expect(missing).toMatchObject({ code: 1, err: expect.stringContaining('fw_id 77') });
  expect(both?.code).toBe(2);
  expect(query).toMatchObject({ code: 1, err: expect.stringContaining('No workflow matches') });
});

test('Ctrl-C ends it with 130', async () => {
  await add('long');
  const main = resolve(import.meta.dir, '..', 'main.ts');
  const child = Bun.spawn([process.execPath, main, 'watch'], { cwd, stdout: 'pipe', stderr: 'pipe' });
  for await (const _ of child.stdout) break;
  child.kill('SIGINT');
  expect(await child.exited).toBe(130);
  expect(await new Response(child.stderr).text()).toBe('');
});
