/** Whole `lpad` commands, from the shell's call to their end: ours, built, against Python FireWorks' on the same database. */
import { readFile, symlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { addWorkflows, type Doc, isoTime, type LaunchPad, newWorkflow } from '../core/launchpad/index.ts';
import { sleep } from '../core/wait.ts';
import { type OneMachine, oneMachine, python } from '../tests/one_machine.ts';
import type { Bench } from './bench.ts';

const WORKFLOWS = 1000;

/** What became of the Fireworks of a workflow, in order: a root, 20 that wait for it, and three that follow them. */
const FATES = [
  ...Array.from({ length: 14 }, () => 'COMPLETED'),
  ...['FIZZLED', 'FIZZLED', 'RUNNING', 'RUNNING', 'READY', 'READY', 'READY', 'PAUSED'],
  ...['WAITING', 'WAITING'],
];
const LAUNCHED = new Set(['COMPLETED', 'FIZZLED', 'RUNNING']);

function workflow(n: number, spec: Doc = {}): Doc {
  const ids = FATES.map((_, i) => i + 1);
  const tasks = { _tasks: [{ _fw_name: 'ScriptTask', script: 'echo hello' }], seed: n, ...spec };
  return {
    name: `workflow ${n}`,
    fws: ids.map((id) => ({ fw_id: id, name: `step ${id}`, spec: tasks })),
    links: { 1: ids.slice(1, 21), 2: [22], 22: [23], 23: [24] },
  };
}

/** `WORKFLOWS` workflows that have run for ten days, each Firework with as many launches as it needed. */
async function grown(launchpad: LaunchPad): Promise<void> {
  const maps = await addWorkflows(
    launchpad,
    Array.from({ length: WORKFLOWS }, (_, n) => newWorkflow(workflow(n))),
  );
  const launches: Doc[] = [];
  const writes = maps.flatMap((ids, n) =>
    FATES.map((state, i) => {
      const fwId = ids.get(i + 1) as number;
      const at = isoTime(new Date(Date.now() - (n % 10) * 86_400_000));
      const own = LAUNCHED.has(state) ? [launches.length + 1] : [];
      for (const id of own) launches.push(launch(id, fwId, state, at));
      const $set = { state, launches: own, updated_on: at };
      return { updateOne: { filter: { fw_id: fwId }, update: { $set } } };
    }),
  );
  for (let i = 0; i < writes.length; i += 1000)
    await launchpad.fireworks.bulkWrite(writes.slice(i, i + 1000), { ordered: false });
  for (let i = 0; i < launches.length; i += 1000)
    await launchpad.launches.insertMany(launches.slice(i, i + 1000));
}

const launch = (launch_id: number, fw_id: number, state: string, at: string): Doc => ({
  ...{ launch_id, fw_id, state, time_start: at, time_end: state === 'RUNNING' ? null : at },
  ...{ launch_dir: `/home/worker/launches/launcher_${launch_id}`, host: 'worker', ip: '127.0.0.1' },
  ...{ fworker: { name: 'worker', category: '', query: '{}', env: '{}' }, trackers: [] },
  action: state === 'COMPLETED' ? { stored_data: { value: launch_id } } : null,
  state_history: [{ state, created_on: at }],
});

interface Ran {
  seconds: number;
  peakBytes: number;
  printedBytes: number;
}

/** Runs a command line to its end; its output goes to a file, so that nobody's reading slows it down. */
async function timed(machine: OneMachine, argv: string[]): Promise<Ran> {
  const printed = Bun.file(join(machine.folder, 'printed'));
  const start = performance.now();
  const child = Bun.spawn(argv, {
    cwd: machine.folder,
    env: { PATH: process.env.PATH ?? '', HOME: machine.folder },
    stdio: ['ignore', printed, 'pipe'],
  });
  const ended = child.exited;
  const peak = peakMemory(child.pid, ended);
  const said = await new Response(child.stderr).text();
  const code = await ended;
  const seconds = (performance.now() - start) / 1000;
  if (code !== 0 || printed.size === 0) throw new Error(`${argv.join(' ')}: ${said}`);
  return { seconds, peakBytes: await peak, printedBytes: printed.size };
}

/** Of a process, its highest resident memory. Not what `wait` tells: that begins with the memory of the process that started it. */
async function peakMemory(pid: number, ended: Promise<unknown>): Promise<number> {
  let kilobytes = Number.NaN;
  let over = false;
  void ended.then(() => {
    over = true;
  });
  for (; !over; await sleep(50)) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    kilobytes = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? kilobytes);
  }
  return kilobytes * 1024;
}

interface Asked {
  name: string;
  about: string;
  unit: string;
  words: string[];
  prepare(launchpad: LaunchPad): Promise<unknown>;
  figure(ran: Ran): number;
  repeats?: number;
}

function lpad({ name, about, unit, words, prepare, figure, repeats = 5 }: Asked): Bench {
  return {
    name: `lpad-${name}`,
    about: `${about}; peer: Python FireWorks' lpad`,
    unit,
    repeats,
    async open() {
      const machine = await oneMachine();
      await prepare(machine.launchpad);
      const ours = join(machine.folder, 'lpad');
      await symlink(resolve(import.meta.dir, '..', 'dist', 'borealisctl'), ours);
      const run = async (argv: string[]) =>
        figure(await timed(machine, [...argv, '-l', 'my_launchpad.yaml', ...words]));
      const peer = python && [python, join(dirname(python), 'lpad')];
      return {
        ours: () => run([ours]),
        peer: peer ? () => run(peer) : null,
        [Symbol.asyncDispose]: () => machine[Symbol.asyncDispose](),
      };
    },
  };
}

const BIG = 'x'.repeat(50_000);

export const benches: Bench[] = [
  lpad({
    name: 'get-wflows-more',
    about: `lpad get_wflows -d more of ${WORKFLOWS} workflows of ${FATES.length} Fireworks`,
    unit: 'workflows/s',
    words: ['get_wflows', '-d', 'more'],
    prepare: grown,
    figure: ({ seconds }) => WORKFLOWS / seconds,
  }),
  lpad({
    name: 'report',
    about: `lpad report on ${WORKFLOWS * FATES.length} Fireworks, of which half have changed in its five days`,
    unit: 'reports/s',
    words: ['report'],
    prepare: grown,
    figure: ({ seconds }) => 1 / seconds,
  }),
  lpad({
    name: 'get-fws-all-memory',
    about:
      'lpad get_fws -d all of 3,600 Fireworks with 50 kB of spec each: bytes printed for a byte of peak memory',
    unit: 'bytes/byte',
    words: ['get_fws', '-d', 'all'],
    prepare: (launchpad) =>
      addWorkflows(
        launchpad,
        Array.from({ length: 150 }, (_, n) => newWorkflow(workflow(n, { big: BIG }))),
      ),
    figure: ({ printedBytes, peakBytes }) => printedBytes / peakBytes,
    repeats: 1,
  }),
];
