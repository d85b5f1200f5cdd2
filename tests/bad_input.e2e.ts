/** Bad input to the built binaries: one clear message, the exit code of the contract, and nothing half done. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Document } from 'mongodb';
import { addWorkflows, type Doc, newWorkflow } from '../core/launchpad/index.ts';
import { faultsIn } from './invariants.ts';
import { type OneMachine, oneMachine, type Ran, until } from './one_machine.ts';

const dist = resolve(import.meta.dir, '..', 'dist');

let machine: OneMachine;
beforeAll(async () => {
  machine = await oneMachine();
});
afterAll(async () => {
  await machine[Symbol.asyncDispose]();
});

/** Runs one of the binaries in a folder of its own that holds `files`, and checks that it leaves nothing else there. */
async function run(argv: readonly string[], files: Record<string, string> = {}): Promise<Ran> {
  const [program, ...words] = argv;
  const cwd = join(machine.folder, crypto.randomUUID());
  await mkdir(cwd);
  for (const [name, text] of Object.entries(files)) await writeFile(join(cwd, name), text);
  const ran = await machine.run([join(dist, program as string), ...words], { cwd });
  expect((await readdir(cwd)).sort()).toEqual(Object.keys(files).sort());
  return ran;
}

/** One line on one of the two streams; bad usage is told on stderr, and what a worker met in its log. */
function expectFault(ran: Ran, code: 1 | 2, ...texts: string[]): void {
  const said = `${ran.out}${ran.err}`;
  expect([ran.code, said.trim().split('\n').length, said]).toEqual([code, 1, expect.any(String)]);
  if (code === 2) expect(ran.err).toStartWith('error: ');
  else expect(said).toMatch(/ ERROR +Stopped by an error: |^error: /);
  for (const text of texts) expect(said).toContain(text);
}

const HERE = 'host: 127.0.0.1\n';
/** Nobody listens on port 1, and that is known soon. */
const NOBODY = `${HERE}port: 1\nmongoclient_kwargs: {serverSelectionTimeoutMS: 300}\n`;

const worker = (settings: string, ...words: string[]) =>
  run(['fireworker', '-l', 'pad.yaml', '--development', ...words], { 'pad.yaml': settings });

test('a worker without a LaunchPad says where it looked', async () => {
  expectFault(
    await worker(NOBODY),
    1,
    'No LaunchPad answers at 127.0.0.1:1/fireworks',
    'Is MongoDB running there',
  );
  const uri = 'mongodb://fw:hunter2@127.0.0.1:1/work';
  const byUri = await worker(
    `uri_mode: true\nhost: ${uri}\nmongoclient_kwargs: {serverSelectionTimeoutMS: 300}\n`,
  );
  expectFault(byUri, 1, 'No LaunchPad answers at mongodb://***@127.0.0.1:1/work');
  expect(byUri.out).not.toContain('hunter2');
  expectFault(await run(['fireworker', '-l', 'nowhere.yaml']), 2, 'nowhere.yaml', '-l FILE');
});

test('a worker with a wrong password is told so, and the password is not', async () => {
  const password = join(machine.folder, 'password');
  await writeFile(password, 'right-secret\n');
  const guarded = [
    'sandbox',
    'mongo',
    '--memory',
    '--port',
    '0',
    '--user',
    'fw',
    '--password-file',
    password,
  ];
  const server = await machine.start('guarded', [join(dist, 'borealisctl'), ...guarded, '--json']);
  await until('it is up', async () => (await server.said()).includes('}'));
  const { port } = JSON.parse(await server.said()) as { port: number };
  const user = `${HERE}port: ${port}\nusername: fw\nauthsource: admin\n`;
  const wrong = await worker(`${user}password: wrong-secret\n`);
  expectFault(wrong, 1, "refused user 'fw'", `127.0.0.1:${port}/fireworks`, 'Check username, password');
  expect(wrong.out).not.toContain('wrong-secret');
  expectFault(await worker(`${HERE}port: ${port}\n`), 1, 'refused a client without username');
  const lpad = ['borealisctl', 'lpad', '-l', 'pad.yaml', 'get_fws'];
  expectFault(await run(lpad, { 'pad.yaml': `${user}password: wrong-secret\n` }), 1, "refused user 'fw'");
});

test.each([
  ['an unknown key', `${HERE}pasword: x\n`, ["unknown key 'pasword'", 'password']],
  ['text for a port', `${HERE}port: twenty\n`, ['port="twenty"', 'number']],
  ['a port that is none', `${HERE}port: 70000\n`, ['port=70000', '65535']],
  ['text for a time', `${HERE}idle_for_rockets: soon\n`, ['idle_for_rockets="soon"', 'number']],
  ['a negative time', `${HERE}idle_for_rockets: -1\n`, ['idle_for_rockets=-1']],
  ['times that contradict', 'idle_for_rockets: 10\nidle_for_waiters: 5\n', ['idle_for_waiters=5', '(10)']],
  ['a level that is none', `${HERE}strm_lvl: LOUD\n`, ['strm_lvl="LOUD"', 'WARNING']],
  ['a password that is a number', `${HERE}password: 12345\n`, ['password=***', 'string']],
  ['tabs', 'mongoclient_kwargs:\n\ta: 1\n', ['line 2', 'tab']],
  ['no YAML', 'host: [\n', ['is not YAML', 'line 2']],
  ['no settings at all', 'just some words\n', ["'key: value'"]],
  ['a log folder that cannot be', `${NOBODY}logdir: /proc/nowhere\n`, ['logdir=/proc/nowhere']],
] as const)('a settings file with %s', async (_, settings, texts) => {
  const ran = await worker(settings);
  expectFault(ran, 2, ...texts);
  expect(ran.err).not.toContain('12345');
});

test.each([
  [['--nonsense'], '--nonsense'],
  [['extra'], 'extra'],
  [['-l'], '-l'],
  [['--slots', 'many'], '--slots many'],
  [['--name', ''], '--name'],
])('fireworker %p is bad usage', async (words, text) => {
  expectFault(await worker(NOBODY, ...words), 2, text);
});

test("a worker's own file that is wrong", async () => {
  const pad = await readFile(join(machine.folder, 'my_launchpad.yaml'), 'utf8');
  for (const [text, told] of [
    ['categry: a\n', "unknown key 'categry'"],
    ['query: "{spec"\n', 'query'],
    ['env: 5\n', 'env=5'],
    ['\tname: a\n', 'tab'],
  ] as const) {
    const ran = await run(['fireworker', '-l', 'pad.yaml', '--once'], {
      'pad.yaml': pad,
      'my_fworker.yaml': text,
    });
    expectFault(ran, 2, 'my_fworker.yaml', told);
  }
});

/** A Firetask, and what is told when it runs; of each a worker makes a FIZZLED Firework and goes on. */
const BAD_TASKS: Record<string, [task: Doc, told: string]> = {
  'a Firetask that nobody knows': [{ _fw_name: 'MyLostTask' }, "Firetask 'MyLostTask'"],
  'a parameter that is missing': [{ _fw_name: 'ScriptTask' }, "parameter 'script'"],
  'a parameter of the wrong type': [{ _fw_name: 'ScriptTask', script: 5 }, "parameter 'script'"],
  'an action that is no JSON': [action('{'), 'FWAction.json'],
  'an action with an unknown key': [action('{"aditions": []}'), "'aditions'"],
  'an action of the wrong type': [action('{"update_spec": 5}'), 'update_spec'],
  'an action that adds no workflow': [action('{"additions": [{"fws": []}]}'), 'at least one Firework'],
  'an action that adds a cycle': [
    action('{"detours": [{"fws": [{"fw_id": 1, "spec": {"_tasks": []}}], "links": {"1": [1]}}]}'),
    'cycle',
  ],
  'an action with a change that is none': [action('{"mod_spec": [{"_sett": {"a": 1}}]}'), '_sett'],
};

function action(json: string): Doc {
  return { _fw_name: 'ScriptTask', script: `echo '${json}' > FWAction.json` };
}

test('a task that cannot run makes its Firework FIZZLED with the reason, and the worker goes on', async () => {
  const { launchpad } = machine;
  const firework = (name: string, task: Doc, id: number) => ({ fw_id: id, name, spec: { _tasks: [task] } });
  // Each with a child, for an action is for children.
  const workflows = Object.entries(BAD_TASKS).map(([name, [task]]) => ({
    fws: [firework(name, task, 1), firework('child', { _fw_name: 'ScriptTask', script: 'true' }, 2)],
    links: { 1: 2 },
  }));
  const good = { fws: [firework('good', { _fw_name: 'ScriptTask', script: 'true' }, 1)], links: {} };
  await addWorkflows(launchpad, [...workflows, good].map(newWorkflow));
  const ann = await machine.worker('ann');
  await until(
    'all are done',
    async () => (await launchpad.fireworks.countDocuments({ state: 'READY' })) === 0,
  );
  await until(
    'none runs',
    async () => (await launchpad.fireworks.countDocuments({ state: 'RUNNING' })) === 0,
  );
  for (const [name, [, told]] of Object.entries(BAD_TASKS)) {
    const { state, launches } = (await launchpad.fireworks.findOne({ name })) as Document;
    const launch = await launchpad.launches.findOne({ launch_id: launches[0] });
    expect([name, state, launch?.state]).toEqual([name, 'FIZZLED', 'FIZZLED']);
    const stacktrace = launch?.action.stored_data._exception._stacktrace.trim().split('\n').at(-1);
    expect(stacktrace).toContain(told);
    expect(await ann.said()).toContain(stacktrace.replace(/^\w+: /, ''));
  }
  expect((await launchpad.fireworks.findOne({ name: 'good' }))?.state).toBe('COMPLETED');
  expect(ann.process.exitCode).toBeNull();
  expect(await faultsIn(launchpad)).toEqual([]);
});
