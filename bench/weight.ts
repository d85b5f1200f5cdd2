/**
 * What a worker weighs: how soon it takes its first Firework, and the memory that it holds while it idles, at first and after
 * many rockets. Ours is the built `fireworker`, the peer Python's `rlaunch rapidfire`, on the same one-machine LaunchPad.
 */
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { addWorkflows, newWorkflow, timeOf } from '../core/launchpad/index.ts';
import { SECOND, sleep } from '../core/wait.ts';
import { type OneMachine, oneMachine, python, type Running, UNIT_ENV } from '../tests/one_machine.ts';
import type { Bench } from './bench.ts';
import { single } from './rockets.ts';

const OURS = [resolve(import.meta.dir, '..', 'dist', 'fireworker'), '--development'];
/** It looks for work once a second while it has none. */
const PEER = [join(dirname(python ?? ''), 'rlaunch'), 'rapidfire', '--nlaunches', 'infinite', '--sleep', '1'];
const LAUNCHPAD = ['-l', '../my_launchpad.yaml'];

type Side = 'ours' | 'peer';

const start = (machine: OneMachine, side: Side): Promise<Running> =>
  machine.start(
    `${side}-${crypto.randomUUID()}`,
    side === 'ours' ? [...OURS, ...LAUNCHPAD] : [PEER[0] as string, ...LAUNCHPAD, ...PEER.slice(1)],
    side === 'ours' ? UNIT_ENV : {},
  );

async function end({ process: child, said }: Running): Promise<void> {
  if (child.exitCode !== null) throw new Error(await said());
  child.kill('SIGTERM');
  await child.exited;
}

/** How long until it has given back what it does not need (daemon/worker.ts). */
const REST_MS = 45 * SECOND;

/** Resident memory of an idle worker at rest, in MB. */
async function idleMegabytes({ process: child }: Running): Promise<number> {
  await sleep(REST_MS);
  return Number(/VmRSS:\s*(\d+)/.exec(await readFile(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1000;
}

const addSingles = (machine: OneMachine, count: number) =>
  addWorkflows(
    machine.launchpad,
    Array.from({ length: count }, (_, i) => newWorkflow(single(i + 1))),
  );

async function flown(machine: OneMachine, count: number): Promise<void> {
  // Seldom, for asking costs the LaunchPad time too.
  while ((await machine.launchpad.fireworks.countDocuments({ state: 'COMPLETED' })) < count) await sleep(500);
}

/** From the program's call to its first checkout, as the LaunchPad has it. */
async function startsPerSecond(machine: OneMachine, side: Side): Promise<number> {
  await machine.launchpad.reset();
  await addSingles(machine, 1);
  const called = Date.now();
  const worker = await start(machine, side);
  await flown(machine, 1);
  await end(worker);
  const launch = await machine.launchpad.launches.findOne({});
  return 1 / (((timeOf(launch?.time_start)?.getTime() ?? 0) - called) / SECOND);
}

async function idlersPerGigabyte(machine: OneMachine, side: Side): Promise<number> {
  await machine.launchpad.reset();
  const worker = await start(machine, side);
  const megabytes = await idleMegabytes(worker);
  await end(worker);
  return 1000 / megabytes;
}

const MANY = 2000;

async function keptAfterMany(machine: OneMachine, side: Side): Promise<number> {
  await machine.launchpad.reset();
  const worker = await start(machine, side);
  const before = await idleMegabytes(worker);
  await addSingles(machine, MANY);
  await flown(machine, MANY);
  const after = await idleMegabytes(worker);
  await end(worker);
  return before / after;
}

const bench = (
  part: Pick<Bench, 'name' | 'about' | 'unit' | 'repeats'>,
  measured: (machine: OneMachine, side: Side) => Promise<number>,
): Bench => ({
  ...part,
  about: `${part.about}; peer: Python FireWorks' rlaunch rapidfire`,
  async open() {
    const machine = await oneMachine();
    return {
      ours: () => measured(machine, 'ours'),
      peer: python ? () => measured(machine, 'peer') : null,
      [Symbol.asyncDispose]: () => machine[Symbol.asyncDispose](),
    };
  },
});

export const benches: Bench[] = [
  bench(
    {
      name: 'worker-start',
      about: "from the program's call to its first checkout, as starts for each second",
      unit: 'starts/s',
      repeats: 5,
    },
    startsPerSecond,
  ),
  bench(
    {
      name: 'worker-idle-memory',
      about: 'idle workers for each GB of resident memory',
      unit: 'workers/GB',
      repeats: 1,
    },
    idlersPerGigabyte,
  ),
  bench(
    {
      name: 'worker-memory-after-2000',
      about: `an idle worker's resident memory at first, as a part of that after ${MANY} rockets`,
      unit: 'before/after',
      repeats: 1,
    },
    keptAfterMany,
  ),
];
