/**
 * What goes wrong around a worker, one test each: it goes on, or the Firework is FIZZLED with a message that says what to do.
 * Cloud Logging away is in worker_log.e2e.ts, a task that ignores SIGTERM in fireworker.e2e.ts, what a Firetask may have wrong
 * in bad_input.e2e.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { addWorkflows, type Doc, newWorkflow } from '../core/launchpad/index.ts';
import { MINUTE, SECOND, sleep } from '../core/wait.ts';
import { runs } from '../daemon/test_worker.ts';
import { TestLine } from '../sandbox/gcp/test_line.ts';
import { startSandbox } from '../sandbox/sandbox.ts';
import { faultsIn } from './invariants.ts';
import { type OneMachine, oneMachine, type Running, until } from './one_machine.ts';
import { run } from './run.ts';

const dist = resolve(import.meta.dir, '..', 'dist');
const FIREWORKER = join(dist, 'fireworker');

/** A run whose heartbeat is older than 10 s is lost. */
const HASTY = { FIREWORKER_PING_TIME_SECS: '1', FIREWORKER_LOST_RUN_SECS: '10' };

/** Adds one Firework, for the worker of that name. Returns its id. */
async function add(machine: OneMachine, worker: string, task: Doc | string): Promise<number> {
  const one = typeof task === 'string' ? { _fw_name: 'ScriptTask', script: task, store_stdout: true } : task;
  const [ids] = await addWorkflows(machine.launchpad, [
    newWorkflow({ fws: [{ fw_id: 1, spec: { _fworker: worker, _tasks: [one] } }], links: {} }),
  ]);
  return ids?.get(1) as number;
}

const stateOf = async (machine: OneMachine, fwId: number): Promise<string> =>
  (await machine.launchpad.fireworks.findOne({ fw_id: fwId }))?.state;
const is = (machine: OneMachine, fwId: number, state: string) =>
  until(`Firework ${fwId} is ${state}`, async () => (await stateOf(machine, fwId)) === state);
const says = (worker: Running, words: string | RegExp) =>
  until(`it says ${words}`, async () => (await worker.said()).match(words) !== null);

/** What is stored of a Firework's only launch. */
async function stored(machine: OneMachine, fwId: number) {
  const [launch, ...more] = await machine.launchpad.launches.find({ fw_id: fwId }).toArray();
  expect(more).toEqual([]);
  return launch?.action.stored_data;
}

/** The worker takes what comes next. */
async function goesOn(machine: OneMachine, worker: string): Promise<void> {
  await is(machine, await add(machine, worker, 'true'), 'COMPLETED');
}

test(
  'the LaunchPad is away for 30 s: while a worker idles, while one flies, when one lands, and without a word',
  async () => {
    await using machine = await oneMachine();
    await using line = new TestLine(machine.port);
    await line.open();
    const far = { host: '127.0.0.1', port: line.port, name: 'fireworks' };
    await writeFile(join(machine.folder, 'far.yaml'), JSON.stringify(far));
    const at = (file: string) => join(machine.folder, file);
    const waitFor = (file: string) => `while ! test -e ${at(file)}; do sleep 0.1; done; echo ${file}`;
    const [landing, flying, cutOff] = await Promise.all([
      add(machine, 'lander', waitFor('land')),
      add(machine, 'flyer', waitFor('fly')),
      add(machine, 'hermit', waitFor('land')),
    ]);
    const [lander, flyer, idler, hermit] = await Promise.all([
      ...['lander', 'flyer', 'idler'].map((name) => machine.worker(name, HASTY)),
      machine.start('hermit', [FIREWORKER, '-l', '../far.yaml', '--development', '--name', 'hermit'], HASTY),
    ]);
    // RUNNING is the first thing that a claim writes; what its worker knows of, nobody else may run.
    for (const worker of [lander, flyer, hermit]) await says(worker as Running, 'Running Firework');
    await says(idler as Running, 'pulling');
    await machine.killServer();
    line.hang();
    await writeFile(at('land'), '');
    await sleep(30 * SECOND);
    line.cut();
    await line.open();
    await machine.startServer();
    await writeFile(at('fly'), '');
    for (const fwId of [landing, flying, cutOff]) await is(machine, fwId, 'COMPLETED');
    expect((await stored(machine, landing)).stdout).toBe('land\n');
    expect((await stored(machine, flying)).stdout).toBe('fly\n');
    expect((await stored(machine, cutOff)).stdout).toBe('land\n');
    await says(lander as Running, 'The LaunchPad is away; the results wait');
    await says(flyer as Running, 'Heartbeat not written');
    await says(idler as Running, 'The LaunchPad is away');
    for (const name of ['lander', 'flyer', 'idler', 'hermit']) await goesOn(machine, name);
    for (const worker of [lander, flyer, idler, hermit]) expect(worker?.process.exitCode).toBeNull();
    expect(await faultsIn(machine.launchpad)).toEqual([]);
  },
  3 * MINUTE,
);

describe('the metadata server is away', () => {
  test(
    'when a worker starts, without a word: it works as on a machine that is no VM',
    async () => {
      await using machine = await oneMachine();
      await using line = new TestLine(1);
      await line.open();
      line.hang();
      const fwId = await add(machine, 'ann', 'true');
      const ann = await machine.worker('ann', { GCE_METADATA_HOST: `127.0.0.1:${line.port}` });
      await is(machine, fwId, 'COMPLETED');
      expect(line.taken).toBe(1);
      expect(ann.process.exitCode).toBeNull();
    },
    MINUTE,
  );

  test(
    'while a worker runs: it flies on, and hears afterwards what was asked of it meanwhile',
    async () => {
      await using machine = await oneMachine();
      const dir = await mkdtemp(join(tmpdir(), 'cloud-'));
      // VMs in which nothing runs.
      const sandbox = await startSandbox({ dir, fireworker: ['sh', '-c', 'exec sleep 600'] });
      try {
        const ctl = (...words: string[]) =>
          run([join(dist, 'borealisctl'), ...words], {
            cwd: dir,
            env: { PATH: process.env.PATH, HOME: dir, TMPDIR: dir, ...sandbox.env },
          });
        await ctl('up', 'vm', '--count', '1');
        const host = sandbox.gcp.compute.vms.get('vm-0')?.vm.metadataHost ?? '';
        await using line = new TestLine(Number(host.split(':')[1]));
        await line.open();
        const env = { ...sandbox.env, GCE_METADATA_HOST: `127.0.0.1:${line.port}` };
        const ann = await machine.worker('ann', env);
        await says(ann, 'pulling');
        await line.refuse();
        await goesOn(machine, 'ann');
        await ctl('set-metadata', 'vm', '-m', 'quit=soon');
        await line.open();
        await says(ann, 'Stopping: quit=soon was asked for');
        expect(await ann.process.exited).toBe(0);
      } finally {
        await sandbox.stop();
        await rm(dir, { recursive: true, force: true });
      }
    },
    MINUTE,
  );
});

/** Whether a test may give a process a disk of its own. */
const mayMount = Bun.spawnSync(['unshare', '-m', 'true']).success;

test.skipIf(!mayMount)(
  `the disk of the launch folders is full: what fills it fails and says so, and nothing more is taken until there is room${mayMount ? '' : ' (skipped: needs root)'}`,
  async () => {
    await using machine = await oneMachine();
    const mounted = 'mkdir launches; mount -t tmpfs -o size=1m none launches; exec "$0" "$@"';
    const ann = await machine.start('ann', [
      ...['unshare', '-m', 'sh', '-c', mounted, FIREWORKER],
      ...['-l', '../my_launchpad.yaml', '--development', '--name', 'ann'],
    ]);
    await says(ann, 'pulling');
    // The worker's own view of it.
    const launches = `/proc/${ann.process.pid}/root${join(machine.folder, 'ann', 'launches')}`;
    const failure = async (fwId: number) => {
      await is(machine, fwId, 'FIZZLED');
      return (await stored(machine, fwId))._exception._stacktrace as string;
    };
    const program = await add(machine, 'ann', 'yes > out');
    expect(await failure(program)).toContain('ScriptTask');
    await truncate(join(launches, 'launcher_1', 'out'));
    const output = await add(machine, 'ann', {
      ...{ _fw_name: 'ScriptTask', script: 'yes | head -c 5000000', stdout_file: 'out' },
    });
    expect(await failure(output)).toMatch(/The disk is full: ENOSPC.*launcher_2/);
    expect(await failure(output)).toContain(
      `or give workers a larger one; then: lpad rerun_fws -i ${output}`,
    );
    const next = await add(machine, 'ann', 'true');
    await says(ann, 'no Firework is taken until there is room');
    await Bun.sleep(SECOND);
    await is(machine, next, 'READY');
    await truncate(join(launches, 'launcher_2', 'out'));
    await is(machine, next, 'COMPLETED');
  },
  MINUTE,
);

const DEBIAN_ARCH = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
const FAKETIME = `/usr/lib/${DEBIAN_ARCH}-linux-gnu/faketime/libfaketime.so.1`;

test.skipIf(!existsSync(FAKETIME))(
  `the clock is set back by two hours: in flight, and while idle${existsSync(FAKETIME) ? '' : ' (skipped: no libfaketime)'}`,
  async () => {
    await using machine = await oneMachine();
    const clock = join(machine.folder, 'clock');
    await writeFile(clock, '+0');
    const ann = await machine.worker('ann', {
      ...{ LD_PRELOAD: FAKETIME, FAKETIME_TIMESTAMP_FILE: clock },
      ...{ FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' },
    });
    const go = join(machine.folder, 'go');
    const fwId = await add(machine, 'ann', `while ! test -e ${go}; do sleep 0.1; done; date -u +%Y-%m-%dT%H`);
    await is(machine, fwId, 'RUNNING');
    await writeFile(clock, '-2h');
    await writeFile(go, '');
    await is(machine, fwId, 'COMPLETED');
    const launch = await machine.launchpad.launches.findOne({ fw_id: fwId });
    expect((await stored(machine, fwId)).stdout.trim()).toBe(
      new Date(Date.now() - 120 * MINUTE).toISOString().slice(0, 13),
    );
    expect(launch?.state).toBe('COMPLETED');
    // While it waits: it goes on looking, at its usual pace.
    const looks = async () => {
      const { metrics } = await machine.launchpad.db.admin().command({ serverStatus: 1 });
      return Number(metrics.commands.findAndModify.total);
    };
    const before = await looks();
    await sleep(5 * SECOND);
    const after = await looks();
    expect(after - before).toBeWithin(1, 15);
    await goesOn(machine, 'ann');
    expect(ann.process.exitCode).toBeNull();
  },
  MINUTE,
);

test(
  'its terminal is closed: the Firework is given back; a worker that was started with nohup flies on',
  async () => {
    await using machine = await oneMachine();
    const ann = await machine.worker('ann');
    const argv = ['nohup', FIREWORKER, '-l', '../my_launchpad.yaml', '--development', '--name', 'bob'];
    const bob = await machine.start('bob', argv);
    const [left, kept] = [await add(machine, 'ann', 'sleep 600'), await add(machine, 'bob', 'sleep 3')];
    for (const fwId of [left, kept]) await is(machine, fwId, 'RUNNING');
    for (const worker of [ann, bob]) worker.process.kill('SIGHUP');
    expect(await ann.process.exited).toBe(0);
    expect(await stateOf(machine, left)).toBe('READY');
    await is(machine, kept, 'COMPLETED');
    expect(bob.process.exitCode).toBeNull();
  },
  MINUTE,
);

describe('a task that', () => {
  let machine: OneMachine;
  let ann: Running;
  beforeAll(async () => {
    machine = await oneMachine();
    ann = await machine.worker('ann');
  });
  afterAll(async () => await machine[Symbol.asyncDispose]());

  /** The number that a task writes to a file of the machine. */
  async function pidIn(file: string): Promise<number> {
    const read = () => readFile(join(machine.folder, file), 'utf8').catch(() => '');
    await until(`the file ${file}`, async () => (await read()).endsWith('\n'));
    return Number(await read());
  }
  test('prints 1 GB: the worker’s memory stays as it is', async () => {
    const memory = async () =>
      Number(/VmRSS:\s*(\d+)/.exec(await readFile(`/proc/${ann.process.pid}/status`, 'utf8'))?.[1]) / 1024;
    const before = await memory();
    const fwId = await add(
      machine,
      'ann',
      'yes "a line of some length, as programs print them" | head -c 1000000000',
    );
    let most = 0;
    await until('all is printed', async () => {
      most = Math.max(most, await memory());
      return ['COMPLETED', 'FIZZLED'].includes(await stateOf(machine, fwId));
    });
    expect(await stateOf(machine, fwId)).toBe('COMPLETED');
    // What LaunchPad documents may hold.
    expect((await stored(machine, fwId)).stdout).toHaveLength(4 * 1024 * 1024);
    expect(most - before).toBeLessThan(250);
  });

  test('closes its output early: it is waited for', async () => {
    const fwId = await add(machine, 'ann', 'exec >&- 2>&-; sleep 2; touch the-end; exit 3');
    await is(machine, fwId, 'FIZZLED');
    const launch = await machine.launchpad.launches.findOne({ fw_id: fwId });
    expect(existsSync(join(launch?.launch_dir, 'the-end'))).toBe(true);
  });

  test('prints what is no UTF-8: it is stored with marks in its place', async () => {
    const fwId = await add(machine, 'ann', String.raw`printf 'caf\351 \377\376\n'; printf 'na\303'`);
    await is(machine, fwId, 'COMPLETED');
    expect((await stored(machine, fwId)).stdout).toBe('caf\ufffd \ufffd\ufffd\nna\ufffd');
  });

  test('nobody knows: the message says what to do', async () => {
    const fwId = await add(machine, 'ann', { _fw_name: 'Lost Task' });
    await is(machine, fwId, 'FIZZLED');
    expect((await stored(machine, fwId))._exception._stacktrace).toMatch(
      /Firetask 'Lost Task'.*(I|i)nstall/s,
    );
    expect(ann.process.exitCode).toBeNull();
  });

  test('leaves daemons, which hold its output: it has ended all the same, and they end with the worker', async () => {
    const daemon = join(machine.folder, 'daemon.sh');
    await writeFile(daemon, `echo $$ > ${machine.folder}/$1; while :; do echo on; sleep 0.1; done`);
    const script = `setsid sh ${daemon} one & (setsid sh -c 'sh ${daemon} two &' &); echo started`;
    await is(machine, await add(machine, 'ann', { _fw_name: 'ScriptTask', script }), 'COMPLETED');
    await goesOn(machine, 'ann');
    const pids = [await pidIn('one'), await pidIn('two')];
    expect(await Promise.all(pids.map(runs))).toEqual([true, true]);
    ann.process.kill('SIGTERM');
    expect(await ann.process.exited).toBe(0);
    expect(await Promise.all(pids.map(runs))).toEqual([false, false]);
  });
});
