/**
 * The built worker as a process, in a miniature cloud: how it starts, what it tells, and every way in which it ends.
 *
 * VMs named real-* boot the worker, as on Google Cloud. In the others nothing runs: there the test starts the worker itself,
 * with the VM's metadata server, and sees its exit code.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Compute, type InstanceBody } from '../core/cloud/compute.ts';
import { readEndpoints } from '../core/cloud/endpoints.ts';
import {
  addWorkflows,
  type Doc,
  LaunchPad,
  launchPadSettings,
  newWorkflow,
} from '../core/launchpad/index.ts';
import { SECOND } from '../core/wait.ts';
import { STOP_TIMES } from '../daemon/stopping.ts';
import { runs, until } from '../daemon/test_worker.ts';
import { startMongo } from '../sandbox/mongo/server.ts';
import { type Sandbox, startSandbox } from '../sandbox/sandbox.ts';

const FIREWORKER = join(import.meta.dir, '..', 'dist', 'fireworker');
const BOOT = `case $HOSTNAME in real-*) exec "${FIREWORKER}" "$@" ;; *) exec sleep 600 ;; esac`;
const LIMIT = 30 * SECOND;

let dir: string;
let sandbox: Sandbox;
let compute: Compute;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cloud-'));
  sandbox = await startSandbox({ dir: join(dir, 'sandbox'), fireworker: ['sh', '-c', BOOT, 'vm'] });
  compute = new Compute('sandbox', 'us-west1-b', readEndpoints(sandbox.env));
});
afterAll(async () => {
  await sandbox.stop();
  await rm(dir, { recursive: true, force: true });
});

/** A VM with a database of its own. */
async function boot(
  name: string,
  attributes: Record<string, string> = {},
  more: InstanceBody = {},
): Promise<LaunchPad> {
  const host = { host: '127.0.0.1', port: sandbox.mongo.port, name };
  const launchpad = await LaunchPad.open(launchPadSettings(host, 'test'));
  await launchpad.reset();
  const items = Object.entries({ db: name, ...attributes }).map(([key, value]) => ({ key, value }));
  const sourceImage = 'projects/sandbox/global/images/family/fireworker';
  const machineType = 'zones/us-west1-b/machineTypes/n1-standard-1';
  const [made] = await compute.insert([
    {
      name,
      machineType,
      networkInterfaces: [{}],
      metadata: { items },
      ...more,
      disks: [{ boot: true, initializeParams: { sourceImage } }],
    },
  ]);
  if (made?.error) throw made.error;
  return launchpad;
}
const isThere = (name: string) => sandbox.gcp.compute.vms.has(name);
const gone = (name: string) => until(`the end of ${name}`, () => !isThere(name), LIMIT);
const consoleOf = (name: string) => readFile(join(dir, 'sandbox/vms', name, 'console.log'), 'utf8');

async function add(launchpad: LaunchPad, ...scripts: string[]): Promise<void> {
  const one = (script: string, i: number): Doc => ({
    fw_id: i + 1,
    spec: { _priority: -i, _tasks: [{ _fw_name: 'ScriptTask', script }] },
  });
  await addWorkflows(launchpad, [newWorkflow({ fws: scripts.map(one), links: {} })]);
}
const stateOf = async (launchpad: LaunchPad, fwId = 1) =>
  (await launchpad.fireworks.findOne({ fw_id: fwId }))?.state as string;

interface Worker {
  process: Bun.Subprocess;
  cwd: string;
  said(): string;
  /** Its exit code. */
  ended: Promise<number>;
}

/** Starts the worker on a VM in which nothing runs, or (`vm` null) on a machine that is no VM. */
async function start(
  vm: string | null,
  argv: string[] = [],
  files: Record<string, string> = {},
): Promise<Worker> {
  const cwd = join(dir, `worker-${crypto.randomUUID().slice(0, 8)}`);
  await mkdir(cwd);
  const launchpad = { host: '127.0.0.1', port: sandbox.mongo.port, name: vm ?? 'nobody' };
  for (const [name, text] of Object.entries({ 'my_launchpad.yaml': JSON.stringify(launchpad), ...files }))
    await writeFile(join(cwd, name), text);
  const GCE_METADATA_HOST = vm ? sandbox.gcp.compute.vms.get(vm)?.vm.metadataHost : '127.0.0.1:1';
  const log = Bun.file(join(cwd, 'said'));
  await Bun.write(log, '');
  const child = Bun.spawn([FIREWORKER, ...argv], {
    cwd,
    env: {
      PATH: process.env.PATH,
      HOME: cwd,
      TMPDIR: cwd,
      ...sandbox.env,
      FW_CONFIG_FILE: '',
      GCE_METADATA_HOST,
    },
    stdio: ['ignore', log, log],
  });
  return { process: child, cwd, said: () => readFileSync(join(cwd, 'said'), 'utf8'), ended: child.exited };
}

describe('a VM that works', () => {
  test(
    'flies what is READY, idles, tells Cloud Logging, and deletes itself',
    async () => {
      await using launchpad = await boot('real-idle', { idle_for_rockets: '0.5', idle_for_waiters: '0.5' });
      await add(launchpad, 'echo hello', 'exit 3');
      await gone('real-idle');
      expect([await stateOf(launchpad, 1), await stateOf(launchpad, 2)]).toEqual(['COMPLETED', 'FIZZLED']);
      const said = await consoleOf('real-idle');
      expect(said).toContain('Stopping: idle for ');
      expect(said).toContain('Fireworks completed 1, fizzled 1, given back 0');
      expect(said).toContain('Deleting this VM, real-idle');
      const logged = await readFile(join(dir, 'sandbox/logs/fireworker.jsonl'), 'utf8').catch(() => '');
      expect(logged).toContain('hello');
    },
    LIMIT,
  );

  test(
    'takes what its metadata say: by category and query, under its name, with its env',
    async () => {
      await using launchpad = await boot('real-picky', {
        fworker_name: 'picky',
        fworker_category: '[gpu, big]',
        fworker_query: '{"spec.n": {"$gt": 1}}',
        fworker_env: '{tool: /opt/tool}',
        idle_for_rockets: '0.5',
        idle_for_waiters: '0.5',
      });
      const look = { _fw_name: 'ScriptTask', script: 'cat', stdin_key: '_fw_env', store_stdout: true };
      const specs = [
        { _category: 'gpu', n: 2 },
        { _category: 'big', n: 1 },
        { _category: 'cpu', n: 2 },
        { n: 2 },
      ];
      const fws = specs.map((spec, i) => ({ fw_id: i + 1, spec: { ...spec, _tasks: [look] } }));
      await addWorkflows(launchpad, [newWorkflow({ fws, links: {} })]);
      await gone('real-picky');
      const states = await Promise.all([1, 2, 3, 4].map((id) => stateOf(launchpad, id)));
      expect(states).toEqual(['COMPLETED', 'READY', 'READY', 'READY']);
      const launch = await launchpad.launches.findOne({ fw_id: 1 });
      expect(launch?.fworker).toMatchObject({ name: 'picky', category: ['gpu', 'big'] });
      expect(JSON.parse(launch?.action.stored_data.stdout)).toEqual({ tool: '/opt/tool' });
    },
    LIMIT,
  );

  test(
    'quit=soon, set while a rocket flies: it lands, no other starts, the VM deletes itself',
    async () => {
      await using launchpad = await boot('real-soon');
      await add(launchpad, 'while ! test -e go; do sleep 0.05; done', 'true');
      await until('the first rocket', async () => (await stateOf(launchpad, 1)) === 'RUNNING', LIMIT);
      const launch = await until('its folder', () => launchpad.launches.findOne({ fw_id: 1 }));
      await compute.setMetadata([{ name: 'real-soon', zone: 'us-west1-b' }], { quit: 'soon' });
      await until('that it was heard', async () =>
        (await consoleOf('real-soon')).includes('quit=soon was asked for'),
      );
      await writeFile(join(launch.launch_dir, 'go'), '');
      await gone('real-soon');
      expect([await stateOf(launchpad, 1), await stateOf(launchpad, 2)]).toEqual(['COMPLETED', 'READY']);
    },
    LIMIT,
  );

  test(
    'quit=soon, set among many short rockets: it acts before the next one',
    async () => {
      await using launchpad = await boot('real-busy');
      await add(launchpad, ...Array.from({ length: 400 }, () => 'true'));
      await until('some rockets', async () => (await stateOf(launchpad, 3)) === 'COMPLETED', LIMIT);
      await compute.setMetadata([{ name: 'real-busy', zone: 'us-west1-b' }], { quit: 'soon' });
      await gone('real-busy');
      const [, since = ''] = (await consoleOf('real-busy')).split('Stopping: quit=soon was asked for');
      // One may have been taken at that moment.
      expect(since.split('Running Firework').length - 1).toBeLessThanOrEqual(1);
      expect(since).toContain('Deleting this VM');
      expect(await launchpad.fireworks.countDocuments({ state: 'READY' })).toBeGreaterThan(0);
      expect(await launchpad.fireworks.countDocuments({ state: 'RUNNING' })).toBe(0);
    },
    LIMIT,
  );

  test(
    'its deletion is refused for a while: it asks again',
    async () => {
      await using _ = await boot('real-insists', { quit: 'when-idle' });
      sandbox.gcp.faults.add({ service: 'compute', match: 'DELETE', status: 503, times: 2 });
      await gone('real-insists');
      expect(await consoleOf('real-insists')).not.toContain('Delete it by hand');
    },
    LIMIT,
  );

  test(
    'quit=when-idle wakes an idle one',
    async () => {
      await using _ = await boot('real-when-idle');
      await until(
        'its start',
        async () => (await consoleOf('real-when-idle').catch(() => '')).includes('pulling'),
        LIMIT,
      );
      await compute.setMetadata([{ name: 'real-when-idle', zone: 'us-west1-b' }], { quit: 'when-idle' });
      await gone('real-when-idle');
      expect(await consoleOf('real-when-idle')).toContain(
        'Stopping: quit=when-idle was asked for, and nothing is READY',
      );
    },
    LIMIT,
  );

  test(
    'preempted: the rocket is given back, and the VM goes',
    async () => {
      await using launchpad = await boot('real-spot');
      await add(launchpad, 'sleep 600');
      await until('the rocket', async () => (await stateOf(launchpad)) === 'RUNNING', LIMIT);
      await sandbox.gcp.preempt('real-spot');
      expect(await stateOf(launchpad)).toBe('READY');
      const launch = await launchpad.launches.findOne({ fw_id: 1 });
      // The notice and the SIGTERM come at the same time: either may be heard first.
      expect(launch?.action.stored_data).toMatchObject({ _preempted: true });
      expect(launch?.action.stored_data._message).toBeOneOf(['this VM is being preempted', 'SIGTERM']);
      expect(await consoleOf('real-spot')).toContain('Deleting this VM, real-spot');
      await gone('real-spot');
    },
    LIMIT,
  );
});

/** A worker that is on no VM, with a LaunchPad server of its own, and a Firework with this script. */
async function onMongo(mongo: { port: number }, scriptText: string) {
  const settings = { host: '127.0.0.1', port: mongo.port, name: 'own' };
  const launchpad = await LaunchPad.open(launchPadSettings(settings, 'test'));
  await launchpad.reset();
  await add(launchpad, scriptText);
  const worker = await start(null, [], { 'my_launchpad.yaml': JSON.stringify(settings) });
  return { launchpad, worker };
}

describe('spot VMs', () => {
  const spot = { scheduling: { provisioningModel: 'SPOT', preemptible: true } };

  test(
    'with slots: all that flies is given back within the time that a preemption leaves',
    async () => {
      await using launchpad = await boot('real-slots', { slots: '3' }, spot);
      await add(launchpad, 'sleep 600', 'sleep 600', 'sleep 600', 'true');
      const running = () => launchpad.fireworks.countDocuments({ state: 'RUNNING' });
      await until('three rockets', async () => (await running()) === 3, LIMIT);
      await sandbox.gcp.preempt('real-slots');
      expect(await launchpad.fireworks.countDocuments({ state: 'READY', preemptions: 1 })).toBe(3);
      expect(await stateOf(launchpad, 4)).toBe('READY');
      expect(await consoleOf('real-slots')).toContain('Fireworks completed 0, fizzled 0, given back 3');
      await gone('real-slots');
    },
    LIMIT,
  );

  test(
    'leave what was preempted too often to a VM that lasts',
    async () => {
      await using launchpad = await boot('real-weak', { max_preemptions: '1' }, spot);
      await add(launchpad, 'test -e go || sleep 600', 'true');
      await until('the rocket', async () => (await stateOf(launchpad)) === 'RUNNING', LIMIT);
      await sandbox.gcp.preempt('real-weak');
      const db = { db: 'real-weak', max_preemptions: '1' };
      await using _ = await boot('real-weak-too', { ...db, quit: 'when-idle' }, spot);
      await until('the other one', async () => (await stateOf(launchpad, 2)) === 'COMPLETED', LIMIT);
      // It waits for a worker that may take it, though it should go when idle.
      await Bun.sleep(1000);
      expect([await stateOf(launchpad), isThere('real-weak-too')]).toEqual(['READY', true]);
      await using __ = await boot('real-strong', db);
      const again = { fw_id: 1, state: 'RUNNING' };
      const launch = await until('a VM that lasts takes it', () => launchpad.launches.findOne(again), LIMIT);
      expect(launch.fworker.name).toBe('real-strong');
      // Nothing is left for the spot VM.
      await gone('real-weak-too');
      const vm = sandbox.gcp.compute.vms.get('real-strong')?.vm;
      await vm?.stop();
    },
    2 * LIMIT,
  );
});

describe('how a worker ends', () => {
  test(
    '--development: the VM stays',
    async () => {
      await using launchpad = await boot('dev', { quit: 'when-idle' });
      await add(launchpad, 'true');
      const worker = await start('dev', ['--development']);
      expect(await worker.ended).toBe(0);
      expect(await stateOf(launchpad)).toBe('COMPLETED');
      expect([isThere('dev'), worker.said().includes('Deleting')]).toEqual([true, false]);
    },
    LIMIT,
  );

  const signals: [NodeJS.Signals, number, string][] = [
    ['SIGINT', 2, 'Ctrl-C'],
    ['SIGTERM', 0, 'SIGTERM'],
  ];
  test.each(signals)(
    '%s: the rocket is given back, exit %d, and the VM stays for who did it',
    async (signal, code, why) => {
      const name = `sig-${signal.toLowerCase()}`;
      await using launchpad = await boot(name);
      await add(launchpad, 'sleep 600');
      const worker = await start(name);
      await until('the rocket', async () => (await stateOf(launchpad)) === 'RUNNING', LIMIT);
      worker.process.kill(signal);
      expect(await worker.ended).toBe(code);
      expect([await stateOf(launchpad), isThere(name)]).toEqual(['READY', true]);
      expect(worker.said()).toContain(`Stopping now: ${why}`);
      expect(worker.said()).toContain(`Gave Firework 1 back after`);
    },
    LIMIT,
  );

  /** A worker with a task that ignores SIGTERM, told to stop; and the task's process. */
  async function stubborn(name: string) {
    const launchpad = await boot(name);
    await add(launchpad, `trap '' TERM; echo $$ > pid; while :; do sleep 600; done`);
    const worker = await start(name);
    const file = join(worker.cwd, 'launches/launcher_1/pid');
    const pid = Number(await until('the task', () => existsSync(file) && readFileSync(file, 'utf8'), LIMIT));
    const hear = async (signal: NodeJS.Signals, words: string) => {
      worker.process.kill(signal);
      await until(`that ${signal} was heard`, () => worker.said().includes(words));
    };
    await hear('SIGTERM', 'Stopping now: SIGTERM');
    return { launchpad, worker, pid, hear };
  }

  test(
    'a task that ignores SIGTERM: it is killed when its time is over, and given back, all within 25 s',
    async () => {
      const { worker, pid, ...more } = await stubborn('stubborn');
      await using launchpad = more.launchpad;
      const began = performance.now();
      expect(await worker.ended).toBe(0);
      expect(performance.now() - began).toBeLessThan(STOP_TIMES.leaveMs);
      expect(await runs(pid)).toBe(false);
      expect(await stateOf(launchpad)).toBe('READY');
    },
    LIMIT,
  );

  test(
    'a second SIGTERM: its task is killed and given back at once',
    async () => {
      const { worker, pid, hear, ...more } = await stubborn('twice');
      await using launchpad = more.launchpad;
      await hear('SIGTERM', 'SIGTERM again: tasks are killed');
      expect(await worker.ended).toBe(0);
      expect(worker.said()).toMatch(/Gave Firework 1 back after [0-9]\.[0-9] s/);
      expect(await runs(pid)).toBe(false);
      expect(await stateOf(launchpad)).toBe('READY');
    },
    LIMIT,
  );

  test(
    'the LaunchPad is gone when it should stop, and a second SIGTERM: it leaves all the same, with its task',
    async () => {
      const mongo = await startMongo({});
      const { launchpad, worker } = await onMongo(
        mongo,
        `trap '' TERM; echo $$ > pid; while :; do sleep 600; done`,
      );
      const file = join(worker.cwd, 'launches/launcher_1/pid');
      const pid = Number(
        await until('the task', () => existsSync(file) && readFileSync(file, 'utf8'), LIMIT),
      );
      await launchpad.close();
      await mongo.stop();
      worker.process.kill('SIGTERM');
      await until('that it was heard', () => worker.said().includes('Stopping now'));
      worker.process.kill('SIGTERM');
      expect(await worker.ended).toBe(1);
      expect(worker.said()).toContain('Not everything has ended in time: leaving');
      await until('the end of the task', async () => !(await runs(pid)));
    },
    LIMIT,
  );

  test(
    'the LaunchPad is gone when it should stop: it tries, says what becomes of the Firework, and is gone in time',
    async () => {
      const mongo = await startMongo({});
      const { launchpad, worker } = await onMongo(mongo, 'touch running; exec sleep 600');
      await until('the task', () => existsSync(join(worker.cwd, 'launches/launcher_1/running')), LIMIT);
      await launchpad.close();
      await mongo.stop();
      const began = performance.now();
      worker.process.kill('SIGTERM');
      await worker.ended;
      expect(performance.now() - began).toBeLessThan(STOP_TIMES.leaveMs + SECOND);
      expect(worker.said()).toContain('The LaunchPad is away: Firework 1 will be found lost, and rerun');
    },
    2 * LIMIT,
  );

  test(
    'a third SIGTERM: it leaves where it stands, and its task goes with it',
    async () => {
      const mongo = await startMongo({});
      const { launchpad, worker } = await onMongo(mongo, 'echo $$ > pid; exec sleep 600');
      const file = join(worker.cwd, 'launches/launcher_1/pid');
      const pid = Number(
        await until('the task', () => existsSync(file) && readFileSync(file, 'utf8'), LIMIT),
      );
      await launchpad.close();
      await mongo.stop();
      for (const words of ['Stopping now', 'SIGTERM again', 'SIGTERM once more']) {
        worker.process.kill('SIGTERM');
        await until(words, () => worker.said().includes(words));
      }
      expect(await worker.ended).toBe(1);
      await until('the end of the task', async () => !(await runs(pid)));
    },
    LIMIT,
  );

  test(
    'settings that are wrong: it says which, waits for somebody to look, and the VM deletes itself',
    async () => {
      await using _ = await boot('wrong', { idle_for_rockets: 'soon', error_delete_delay: '0.1' });
      const worker = await start('wrong');
      expect(await worker.ended).toBe(2);
      expect(worker.said()).toContain('idle_for_rockets=soon (VM metadata): must be a number');
      await gone('wrong');
    },
    LIMIT,
  );

  test(
    'an error, and somebody who looks: the VM stays',
    async () => {
      await using _ = await boot('looked-at', { port: 'x' });
      const worker = await start('looked-at');
      await until('the warning', () => worker.said().includes('This VM deletes itself in 900 s'), LIMIT);
      worker.process.kill('SIGTERM');
      await worker.ended;
      expect(isThere('looked-at')).toBe(true);
    },
    LIMIT,
  );

  test(
    'nobody answers at the LaunchPad’s address: one message, exit 1',
    async () => {
      const nowhere = { host: '127.0.0.1', port: 1, mongoclient_kwargs: { serverSelectionTimeoutMS: 100 } };
      const worker = await start(null, ['--once'], { 'my_launchpad.yaml': JSON.stringify(nowhere) });
      expect(await worker.ended).toBe(1);
      expect(worker.said()).toMatch(
        /^\S+ ERROR +Stopped by an error: No LaunchPad answers at 127\.0\.0\.1:1\/fireworks: .*Is MongoDB running there, and the address right\?\n$/,
      );
    },
    LIMIT,
  );

  test(
    'a wrong password: one message without it, exit 1',
    async () => {
      const mongo = await startMongo({ user: 'me', password: 'right' });
      try {
        const file = {
          host: '127.0.0.1',
          port: mongo.port,
          username: 'me',
          password: 's3cret',
          authsource: 'admin',
        };
        const worker = await start(null, ['--once'], { 'my_launchpad.yaml': JSON.stringify(file) });
        expect(await worker.ended).toBe(1);
        expect(worker.said()).toMatch(
          /^\S+ ERROR +Stopped by an error: .*username, password and authsource.*\n$/,
        );
        expect(worker.said()).not.toContain('s3cret');
      } finally {
        await mongo.stop();
      }
    },
    LIMIT,
  );
});

describe('a worker that is on no VM', () => {
  test(
    '--once, --name, --json-logs, my_fworker.yaml and a copy of the log',
    async () => {
      const settings = { host: '127.0.0.1', port: sandbox.mongo.port, name: 'laptop', logdir: 'logs' };
      await using launchpad = await LaunchPad.open(launchPadSettings({ ...settings, logdir: null }, 'test'));
      await launchpad.reset();
      await add(launchpad, 'true', 'true');
      await launchpad.fireworks.updateOne({ fw_id: 2 }, { $set: { 'spec._category': 'big' } });
      const files = {
        'my_launchpad.yaml': JSON.stringify(settings),
        'my_fworker.yaml': 'name: other\ncategory: big\nquery: "{}"\n',
      };
      const worker = await start(null, ['--once', '--name', 'mine', '--json-logs'], files);
      expect(await worker.ended).toBe(0);
      const lines = worker
        .said()
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(lines.at(-1)).toMatchObject({ severity: 'INFO', labels: { worker: 'mine' } });
      expect(lines.map(({ message }) => message)).toContain('Stopping: one rocket was asked for (--once)');
      expect(lines.at(-1).message).toStartWith('Stopped. Fireworks completed 1, fizzled 0, ');
      expect([await stateOf(launchpad, 1), await stateOf(launchpad, 2)]).toEqual(['READY', 'COMPLETED']);
      expect((await launchpad.launches.findOne({}))?.fworker).toMatchObject({
        name: 'mine',
        category: 'big',
      });
      expect(await readFile(join(worker.cwd, 'logs/fireworker.log'), 'utf8')).toContain('is COMPLETED after');
    },
    LIMIT,
  );

  const refusals: [string[], Record<string, string>, RegExp][] = [
    [['--devlopment'], {}, /^error: Unknown option '--devlopment'\. See fireworker --help\n$/],
    [
      ['-l', 'none.yaml'],
      {},
      /^error: There is no LaunchPad file \S+none\.yaml\. Name another with -l FILE\n$/,
    ],
    [
      ['--once'],
      { 'my_launchpad.yaml': 'hots: x\n' },
      /^error: \S+: unknown key 'hots'\. Known keys: host, /,
    ],
  ];
  test.each(refusals)('%j: one message, exit 2', async (argv, files, message) => {
    const worker = await start(null, argv, files);
    expect(await worker.ended).toBe(2);
    expect(worker.said()).toMatch(message);
  });

  test('--setup writes what a disk image needs, and prints the folder', async () => {
    const worker = await start(null, ['--setup']);
    expect(await worker.ended).toBe(0);
    const folder = worker.said().trim();
    expect(basename(folder)).toStartWith('fireworker-setup-');
    expect(await readFile(join(folder, 'fireworker.service'), 'utf8')).toContain('[Service]');
    expect(await readFile(join(folder, 'my_launchpad.yaml'), 'utf8')).toContain('idle_for_waiters: 3600');
  });
});
