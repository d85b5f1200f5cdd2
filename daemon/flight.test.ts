/** Rockets that fly: real Firetasks, real processes, a real LaunchPad. */
import { describe, expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  addWorkflows,
  type Doc,
  detectLostRuns,
  LaunchPad,
  launchPadSettings,
  newWorkflow,
  rerun,
} from '../core/launchpad/index.ts';
import { SECOND } from '../core/wait.ts';
import { fly } from './flight.ts';
import { runs, type TestWorker, testWorker, until } from './test_worker.ts';

const script = (text: string, more: Doc = {}): Doc => ({ _fw_name: 'ScriptTask', script: text, ...more });
/** A task that leaves this FWAction as a file. */
const leaves = (action: Doc): Doc => ({
  _fw_name: 'FileWriteTask',
  files_to_write: [{ filename: 'FWAction.json', contents: JSON.stringify(action) }],
});
const workflowOf = (...names: string[]): Doc => ({
  fws: names.map((name, i) => ({ fw_id: -i - 1, name, spec: { _tasks: [] } })),
  links: Object.fromEntries(names.slice(1).map((_, i) => [-i - 1, [-i - 2]])),
});

/** Of each Firework its name and state. */
async function states({ launchpad }: TestWorker): Promise<Record<string, string>> {
  const all = await launchpad.fireworks.find({}).sort({ fw_id: 1 }).toArray();
  return Object.fromEntries(all.map(({ name, state }) => [name, state]));
}
const exceptionOf = async (worker: TestWorker, fwId = 1) =>
  String(((await worker.storedData(fwId))._exception as Doc)._stacktrace);

test('Firetasks of a Firework share a folder and a spec, one after the other', async () => {
  await using worker = await testWorker();
  const tasks = [
    script('echo one > f'),
    script('cat f; cat', { stdin_key: 'word', store_stdout: true }),
    script('pwd; echo $PWD', { store_stdout: true }),
  ];
  await worker.add(tasks, { word: 'two' });
  expect(await worker.fly()).toBe('completed');
  const dir = join(worker.folder, 'launcher_1');
  expect(await worker.storedData(1)).toEqual({
    stdout: `${dir}\n${dir}\n`,
    returncode: 0,
    all_returncodes: [0],
  });
  expect(await worker.fly()).toBeNull();
});

test('a launch that left nothing leaves no folder', async () => {
  await using worker = await testWorker();
  await worker.add([script('true')]);
  await worker.fly();
  expect((await readdir(worker.folder)).filter((name) => !name.startsWith('.'))).toEqual([]);
});

describe('an FWAction that a script left', () => {
  test('stored data, update_spec and mod_spec', async () => {
    await using worker = await testWorker();
    const action = {
      stored_data: { answer: 42 },
      update_spec: { u: [1] },
      mod_spec: [{ _push: { list: 'b' } }, { _set: { 'deep->key': true } }],
    };
    await worker.add([leaves(action), script('rm FWAction.json')], { list: ['a'] }, 1);
    expect(await worker.fly()).toBe('completed');
    expect(await worker.storedData(1)).toEqual({ answer: 42, returncode: 0, all_returncodes: [0] });
    expect((await worker.firework(2)).spec).toEqual({ u: [1], list: ['b'], deep: { key: true }, _tasks: [] });
  });

  const cases: [string, Doc, Record<string, string>][] = [
    ['exit: no further Firetask runs', { exit: true }, { first: 'COMPLETED', 'child 2': 'READY' }],
    [
      'additions',
      { additions: [workflowOf('x', 'y')] },
      { first: 'COMPLETED', 'child 2': 'READY', x: 'READY', y: 'WAITING' },
    ],
    [
      'detours: children wait for them',
      { detours: [workflowOf('x', 'y')] },
      { first: 'COMPLETED', 'child 2': 'WAITING', x: 'READY', y: 'WAITING' },
    ],
    [
      'append_wfs',
      { append_wfs: [{ workflow: workflowOf('x'), parents: [], detour: true }] },
      { first: 'COMPLETED', 'child 2': 'WAITING', x: 'READY' },
    ],
    ['defuse_children', { defuse_children: true }, { first: 'COMPLETED', 'child 2': 'DEFUSED' }],
    ['defuse_workflow', { defuse_workflow: true }, { first: 'COMPLETED', 'child 2': 'DEFUSED' }],
  ];
  test.each(cases)('%s', async (_, action, after) => {
    await using worker = await testWorker();
    await worker.add([leaves(action), script('touch never')], {}, 1);
    expect(await worker.fly()).toBe('completed');
    expect(await states(worker)).toEqual(after);
    expect(existsSync(join(worker.folder, 'launcher_1', 'never'))).toBe(false);
  });

  test('propagate: what it changes reaches all below', async () => {
    await using worker = await testWorker();
    const chain = workflowOf('a', 'b', 'c') as { fws: Doc[] };
    (chain.fws[0]?.spec as Doc)._tasks = [leaves({ update_spec: { deep: 1 }, propagate: true })];
    await addWorkflows(worker.launchpad, [newWorkflow(chain)]);
    expect(await worker.fly()).toBe('completed');
    const specs = await worker.launchpad.fireworks.find({ 'spec.deep': 1 }).toArray();
    expect(specs.map(({ name }) => name).sort()).toEqual(['b', 'c']);
  });
});

describe('a Firework that fails says why, and the worker goes on', () => {
  const cases: [string, Doc, RegExp, Doc?][] = [
    ['a script', script('exit 3'), /RuntimeError: ScriptTask fizzled! Return code: \[3\]$/],
    [
      'a misspelt parameter',
      { _fw_name: 'FileWriteTask' },
      /ValueError: FileWriteTask: parameter 'files_to_write'/,
    ],
    [
      'a broken FWAction.json',
      script('echo "{" > FWAction.json'),
      /FWAction.json is not JSON: the end in line 2$/,
    ],
    ['an addition that is no workflow', leaves({ additions: [{ nonsense: 1 }] }), /BorealisError: .*spec.*$/],
    [
      'a change that does not fit the child',
      leaves({ mod_spec: [{ _push: { n: 1 } }] }),
      /BorealisError: mod_spec: 'n' is not a list$/,
      { n: 5 },
    ],
  ];
  test.each(cases)('%s', async (_, task, last, childSpec = {}) => {
    await using worker = await testWorker();
    await addWorkflows(worker.launchpad, [
      newWorkflow({
        fws: [
          { fw_id: 1, name: 'first', spec: { _tasks: [task] } },
          { fw_id: 2, name: 'child', spec: { ...childSpec, _tasks: [] } },
        ],
        links: { 1: [2] },
      }),
    ]);
    await worker.add([script('true')]);
    expect(await worker.fly()).toBe('fizzled');
    expect((await exceptionOf(worker)).trim()).toMatch(last);
    const { state, state_history, time_end, action } = await worker.launch(1);
    expect([state, typeof time_end, (action as Doc).exit]).toEqual(['FIZZLED', 'string', true]);
    expect((state_history as Doc[]).map((entry) => entry.state)).toEqual(['RUNNING', 'FIZZLED']);
    expect(await states(worker)).toMatchObject({ first: 'READY', child: 'WAITING' });
    expect((await worker.firework(1)).state).toBe('FIZZLED');
    expect((await worker.launchpad.workflows.findOne({ nodes: 1 }))?.locked).toBeUndefined();
    expect(await worker.fly()).toBe('completed');
  });
});

test('_launch_dir: the Firework runs there, and the launch says so', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'elsewhere-'));
  try {
    await using worker = await testWorker({ env: { ...process.env, PLACE: dir } });
    await worker.add([script('pwd > here')], {
      _launch_dir: '$PLACE/a/b',
      _trackers: [{ filename: 'here' }],
    });
    expect(await worker.fly()).toBe('completed');
    const { launch_dir, trackers } = await worker.launch(1);
    expect([launch_dir, (trackers as Doc[])[0]?.content]).toEqual([join(dir, 'a/b'), join(dir, 'a/b')]);
    expect(existsSync(join(dir, 'a/b/here'))).toBe(true);
    expect(existsSync(join(worker.folder, 'launcher_1'))).toBe(false);
  } finally {
    await rm(dir, { recursive: true });
  }
});

test('FW.json tells scripts what runs', async () => {
  await using worker = await testWorker();
  await worker.add([script('cp FW.json seen')], { big: 2 ** 52, kind: 'x' });
  expect(await worker.fly()).toBe('completed');
  const { spec, ...rest } = JSON.parse(await worker.file('seen'));
  expect(rest).toEqual({ fw_id: 1, name: 'first', state: 'RUNNING', launches: [{ launch_id: 1 }] });
  expect(spec).toMatchObject({ big: 2 ** 52, kind: 'x' });
});

describe('files of a parent', () => {
  const files = { a: 'a.txt', b: 'b.txt.gz', c: 'c.txt' };
  const packs = ['bzip2', 'xz'].every((program) => Bun.which(program));
  test.skipIf(!packs)(
    `are packed and unpacked as their names say${packs ? '' : ' (no bzip2, or no xz here)'}`,
    async () => {
      await using worker = await testWorker();
      await addWorkflows(worker.launchpad, [
        newWorkflow({
          fws: [
            {
              fw_id: 1,
              spec: {
                _tasks: [script('echo A > a.txt; echo B | gzip > b.txt.gz; echo C > c.txt; xz -k c.txt')],
                _files_out: { ...files, d: '[a-b]*.txt', e: 'c.txt.xz', f: 'b.txt.gz', none: '*.none' },
              },
            },
            {
              fw_id: 2,
              spec: {
                _tasks: [
                  script('gzip -dc a.gz; bzip2 -dc b.bz2; cat c b.txt d; bzip2 -dc e.bz2', {
                    store_stdout: true,
                  }),
                ],
                _files_in: { a: 'a.gz', b: 'b.bz2', c: 'c', d: 'd', e: 'e.bz2', f: 'b.txt', none: 'none' },
              },
            },
          ],
          links: { 1: [2] },
        }),
      ]);
      expect(await worker.fly()).toBe('completed');
      expect(await worker.fly()).toBe('completed');
      expect((await worker.storedData(2)).stdout).toBe('A\nB\nC\nB\nA\nC\n');
    },
  );

  const absent: [string, Doc, RegExp][] = [
    [
      'a file that is on another worker',
      { _files_in: { a: 'a' }, _files_prev: { a: '/nowhere/a.txt' } },
      /FileNotFoundError: _files_in: 'a', a parent's \/nowhere\/a\.txt, is not on this worker\. Let both run on one \(_preserve_fworker\), or on workers that share a disk$/,
    ],
    [
      'the folder of a run on another worker',
      { _recovery: { _mode: 'cp', _prev_dir: '/nowhere', _task_n: 0 } },
      /FileNotFoundError: _recovery: the folder of the run before, \/nowhere, is not on this worker\. /,
    ],
  ];
  test.each(absent)('%s', async (_, spec, last) => {
    await using worker = await testWorker();
    await worker.add([script('true')], spec);
    expect(await worker.fly()).toBe('fizzled');
    expect((await exceptionOf(worker)).trim()).toMatch(last);
  });
});

test('a rerun with recovery begins at the Firetask that failed, with the files of before', async () => {
  await using worker = await testWorker();
  const tasks = [script('echo x >> count', { store_stdout: true }), script('test -f go')];
  await worker.add(tasks);
  expect(await worker.fly()).toBe('fizzled');
  await writeFile(join(worker.folder, 'launcher_1', 'go'), '');
  await rerun(worker.launchpad, 1, { recover: 'last', recoverMode: 'cp' });
  expect(await worker.fly()).toBe('completed');
  expect(await worker.file('count', 2)).toBe('x\n');
  expect(await worker.storedData(1)).toEqual({ stdout: '', returncode: 0, all_returncodes: [0] });
});

describe('heartbeat', () => {
  test('beats while a task runs, with the checkpoint of that task', async () => {
    await using worker = await testWorker({ pingMs: 30 });
    await worker.add([script('true'), script('sleep 0.4')]);
    const flying = worker.fly();
    const beat = async () =>
      ((await worker.launch(1).catch(() => null))?.state_history as Doc[] | undefined)?.[0];
    const second = await until('the second task', async () => {
      const now = await beat();
      return ((now?.checkpoint as Doc | undefined)?._task_n === 1 && now) || null;
    });
    await until('another beat', async () => (await beat())?.updated_on !== second.updated_on);
    expect(await flying).toBe('completed');
  });

  test('a Firework that was taken away: its process ends, nothing is written', async () => {
    await using worker = await testWorker({ pingMs: 30, graceMs: 50 });
    await worker.add([script('echo $$ > pid; exec sleep 60')]);
    const flying = worker.fly();
    const pid = Number(await until('the task', () => worker.file('pid').catch(() => null)));
    await detectLostRuns(worker.launchpad, { expirationSecs: -1, rerun: true });
    expect(await flying).toBe('lost');
    expect(await runs(pid)).toBe(false);
    expect((await worker.firework(1)).state).toBe('READY');
  });
});

describe('SIGTERM in flight', () => {
  const startAndStop = async (worker: TestWorker, text: string) => {
    await worker.add([script('true'), script(text, { store_stdout: true })], {}, 1);
    const flying = worker.fly();
    const pids = await until('the task', async () => {
      const found = (await worker.file('pids').catch(() => '')).trim().split('\n').map(Number);
      return found.length === 2 && found;
    });
    worker.stop('SIGTERM');
    return { landing: await flying, pids };
  };

  test('the process group ends, and the Firework is READY again with its history', async () => {
    await using worker = await testWorker();
    const { landing, pids } = await startAndStop(worker, 'echo $$ > pids; sleep 60 & echo $! >> pids; wait');
    expect(landing).toBe('givenUp');
    for (const pid of pids) expect(await runs(pid)).toBe(false);
    const firework = await worker.firework(1);
    expect([firework.state, firework.launches, firework.archived_launches]).toEqual(['READY', [], [1]]);
    const launch = await worker.launch(1);
    expect((launch.action as Doc).stored_data).toEqual({ _message: 'SIGTERM', _preempted: true });
    expect((await worker.firework(2)).state).toBe('WAITING');
  });

  test('a task that ignores SIGTERM, with a child that does, is killed after the grace time', async () => {
    await using worker = await testWorker({ graceMs: 100 });
    const stubborn = `trap '' TERM; echo $$ > pids; sh -c "trap '' TERM; sleep 60; :" > /dev/null 2>&1 & echo $! >> pids; sleep 60; :`;
    const { landing, pids } = await startAndStop(worker, stubborn);
    expect(landing).toBe('givenUp');
    for (const pid of pids) expect(await runs(pid)).toBe(false);
  });

  test('a result that is there already is kept', async () => {
    await using worker = await testWorker();
    await worker.add([script('echo done', { store_stdout: true })]);
    const claim = await worker.claim();
    const flying = fly(worker.pad, claim);
    await until('the end of the task', () =>
      worker.said.some(({ message }) => message.startsWith('Task 0 completed')),
    );
    worker.stop('SIGTERM');
    expect(await flying).toBe('completed');
  });
});

/** A LaunchPad server that can be killed, with all its connections. */
async function startServer(dir: string, port: number) {
  const module = JSON.stringify(join(import.meta.dir, '../sandbox/mongo/server.ts'));
  const code = `const { startMongo } = await import(${module}); console.log((await startMongo(${JSON.stringify({ dir, port })})).port);`;
  const child = Bun.spawn([process.execPath, '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  const { value } = await child.stdout.getReader().read();
  return {
    port: Number(new TextDecoder().decode(value)),
    async kill() {
      child.kill('SIGKILL');
      await child.exited;
    },
  };
}

test(
  'results are kept while the LaunchPad is away, and written when it is back',
  async () => {
    const dir = await mkdtemp(join(tmpdir(), 'away-'));
    let server = await startServer(dir, 0);
    const { port } = server;
    try {
      const settings = launchPadSettings({ host: '127.0.0.1', port }, 'test');
      await using launchpad = await LaunchPad.open(settings, { serverSelectionTimeoutMs: 200 });
      await launchpad.reset();
      await using worker = await testWorker({ launchpad, pingMs: 50 });
      await worker.add([script('touch running; sleep 0.5; echo done', { store_stdout: true })], {}, 1);
      const flying = worker.fly();
      await until('the task', () => existsSync(join(worker.folder, 'launcher_1', 'running')));
      await server.kill();
      const said = (text: string) => worker.said.some(({ message }) => message.includes(text));
      await until('the news', () => said('Heartbeat not written: ') && said('the results wait'));
      server = await startServer(dir, port);
      expect(await flying).toBe('completed');
      expect((await worker.storedData(1)).stdout).toBe('done\n');
      expect((await worker.firework(2)).state).toBe('READY');
    } finally {
      await server.kill();
      await rm(dir, { recursive: true, force: true });
    }
  },
  20 * SECOND,
);
