/** Many workers on one workflow: how near they come to the time in which none of them ever waits for another. */
import { resolve } from 'node:path';
import { addWorkflows, type Doc, newWorkflow } from '../core/launchpad/index.ts';
import { MINUTE, SECOND, sleep } from '../core/wait.ts';
import { type OneMachine, oneMachine, python, type Running, until } from '../tests/one_machine.ts';
import type { Bench } from './bench.ts';

const WORKERS = 30;
const TASKS = 600;
/** Each has its share of the tasks, which take a second, and one has the join. */
const IDEAL_MS = (TASKS / WORKERS + 1) * SECOND;

function sleepers(): Doc {
  const spec = { _tasks: [{ _fw_name: 'ScriptTask', script: 'sleep 1' }] };
  const tasks = Array.from({ length: TASKS }, (_, i) => i + 1);
  const join = TASKS + 1;
  return {
    fws: [...tasks, join].map((fw_id) => ({ fw_id, name: fw_id === join ? 'join' : 'sleep', spec })),
    links: Object.fromEntries(tasks.map((id) => [id, [join]])),
  };
}

interface Side {
  start(machine: OneMachine, name: string): Promise<Running>;
  /** What a worker says once it looks for work. */
  ready: RegExp;
}

const ours: Side = { start: (machine, name) => machine.worker(name), ready: /pulling from the LaunchPad/ };

const peers: Side = {
  // It looks for work again a second after it found none: left alone it would wait a minute.
  start: (machine, name) =>
    machine.start(name, [
      ...[python as string, resolve(python as string, '..', 'rlaunch'), '-l', '../my_launchpad.yaml'],
      ...['rapidfire', '--nlaunches', 'infinite', '--sleep', '1'],
    ]),
  ready: /Sleeping for/,
};

/** Starts the workers, then adds the workflow. Returns which part of the ideal pace they kept. */
async function kept(machine: OneMachine, side: Side, name: string): Promise<number> {
  const { launchpad } = machine;
  await launchpad.reset();
  const workers: Running[] = [];
  for (let i = 0; i < WORKERS; i++) workers.push(await side.start(machine, `${name}-${i}`));
  for (const worker of workers)
    await until('a worker looks for work', async () => side.ready.test(await worker.said()), 3 * MINUTE);
  await addWorkflows(launchpad, [newWorkflow(sleepers())]);
  // Seldom, for asking costs the LaunchPad time too.
  while ((await launchpad.workflows.countDocuments({ state: 'COMPLETED' })) === 0) await sleep(SECOND);
  for (const worker of workers) worker.process.kill('SIGTERM');
  await Promise.all(workers.map((worker) => worker.process.exited));
  const launches = await launchpad.launches
    .find({}, { projection: { time_start: 1, time_end: 1 } })
    .toArray();
  const began = launches.map(({ time_start }) => Date.parse(time_start));
  const ended = launches.map(({ time_end }) => Date.parse(time_end));
  return IDEAL_MS / (Math.max(...ended) - Math.min(...began));
}

export const benches: Bench[] = [
  {
    name: 'many-workers-one-workflow',
    about: `${WORKERS} workers, ${TASKS} tasks of a second and a join; peer: rlaunch rapidfire`,
    unit: 'of the ideal pace',
    repeats: 1,
    onRequest: true,
    async open() {
      const machine = await oneMachine();
      return {
        ours: () => kept(machine, ours, 'ours'),
        peer: python ? () => kept(machine, peers, 'peer') : null,
        [Symbol.asyncDispose]: () => machine[Symbol.asyncDispose](),
      };
    },
  },
];
