/** Rockets per second, and how fast workflows are added: ours against Python FireWorks on the same one-machine LaunchPad. */
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import {
  addWorkflows,
  claim,
  complete,
  type Doc,
  endsAlone,
  type FWorker,
  fwAction,
  LaunchPad,
  newWorkflow,
} from '../core/launchpad/index.ts';
import { sleep } from '../core/wait.ts';
import { type OneMachine, oneMachine, python } from '../tests/one_machine.ts';
import type { Bench } from './bench.ts';

const firework = (id: number, name: string): Doc => ({
  fw_id: id,
  name,
  spec: { _tasks: [{ _fw_name: 'ScriptTask', script: 'true' }] },
});

export const single = (id: number): Doc => ({ fws: [firework(id, `single ${id}`)], links: {} });

/** A root with `wide` children. */
export function fanOut(wide: number): Doc {
  const children = Array.from({ length: wide }, (_, i) => i + 2);
  return {
    fws: [firework(1, 'root'), ...children.map((id) => firework(id, `child ${id}`))],
    links: { 1: children },
  };
}

/** Python FireWorks' side of a benchmark: bench/peer.py, whose start is not counted. Returns its last line. */
async function askPeer(machine: OneMachine, ...words: string[]): Promise<string> {
  const ran = await machine.run([python as string, resolve(import.meta.dir, 'peer.py'), ...words]);
  if (ran.code !== 0) throw new Error(`peer.py ${words.join(' ')}: ${ran.err}`);
  return ran.out.trimEnd().split('\n').at(-1) ?? '';
}

/**
 * The pace of the first `count` rockets: from the start of the first to the start of the last, as the LaunchPad
 * has it, which is the same measure for everybody and leaves out how long a program takes to start.
 */
async function pace(launchpad: LaunchPad, count: number): Promise<number> {
  const launches = await launchpad.launches
    .find({ state: 'COMPLETED' }, { projection: { time_start: 1 } })
    .toArray();
  const starts = launches.map(({ time_start }) => Date.parse(time_start)).sort((a, b) => a - b);
  const [first, last] = [starts[0], starts[count - 1]];
  if (first === undefined || last === undefined)
    throw new Error(`${launches.length} rockets completed, not ${count}`);
  return (count - 1) / ((last - first) / 1000);
}

interface Flights {
  name: string;
  about: string;
  workflows: () => Doc[];
  /** How many rockets are flown and counted. */
  count: number;
  /** So many by the peer, whose pace is the same all along. */
  peerCount?: number;
  onRequest?: boolean;
  /** What a round trip to the LaunchPad takes longer than on this machine. */
  roundTripMs?: number;
  repeats?: number;
}

export function rockets(f: Flights, how: 'script' | 'launchpad'): Bench {
  const does = how === 'script' ? 'a ScriptTask `true`' : 'claim and complete alone, no task is run';
  return {
    name: `rockets-${how}-${f.name}`,
    about: `${does}; ${f.about}; one worker; peer: Python FireWorks' ${how === 'script' ? 'rapidfire' : 'LaunchPad'}`,
    unit: 'rockets/s',
    repeats: f.repeats ?? 3,
    onRequest: f.onRequest,
    async open() {
      const machine = await oneMachine();
      const { launchpad } = machine;
      const network = f.roundTripMs ? await slowNetwork(machine, f.roundTripMs) : null;
      let run = 0;
      const flown = async (count: number, fly: (count: number) => Promise<unknown>) => {
        await launchpad.reset();
        await addWorkflows(launchpad, f.workflows().map(newWorkflow));
        await fly(count);
        return await pace(launchpad, count);
      };
      const { count, peerCount = count } = f;
      const ours = {
        script: (count: number) => flyOn(machine, `worker-${run++}`, count),
        launchpad: (count: number) => turnOver(machine, count),
      };
      return {
        ours: () => flown(count, ours[how]),
        peer: python ? () => flown(peerCount, (count) => askPeer(machine, how, String(count))) : null,
        async [Symbol.asyncDispose]() {
          network?.kill();
          await machine[Symbol.asyncDispose]();
        },
      };
    },
  };
}

/** Whoever reads the machine's LaunchPad file from now on is that far from it. */
async function slowNetwork(machine: OneMachine, roundTripMs: number): Promise<Bun.Subprocess> {
  const argv = [resolve(import.meta.dir, 'delay.ts'), String(machine.port), String(roundTripMs)];
  const proxy = Bun.spawn([process.execPath, ...argv], { stdio: ['ignore', 'pipe', 'inherit'] });
  const { value } = await proxy.stdout.getReader().read();
  const settings = { host: '127.0.0.1', port: Number(new TextDecoder().decode(value)), name: 'fireworks' };
  await writeFile(join(machine.folder, 'my_launchpad.yaml'), JSON.stringify(settings));
  return proxy;
}

/** One fireworker, until `count` rockets have landed. */
async function flyOn(machine: OneMachine, name: string, count: number): Promise<void> {
  const worker = await machine.worker(name);
  const landed = () => machine.launchpad.launches.countDocuments({ state: 'COMPLETED' });
  // Seldom, for asking costs the LaunchPad time too.
  while ((await landed()) < count) await sleep(500);
  worker.process.kill('SIGTERM');
  if ((await worker.process.exited) !== 0) throw new Error(await worker.said());
}

/** Claims and completes as a worker of one slot does, without a rocket in between. */
async function turnOver(machine: OneMachine, count: number): Promise<void> {
  const fworker: FWorker = { name: 'bench', category: '', query: {}, env: {} };
  const launchDir = (id: number) => join('/tmp', `launcher_${id}`);
  await using launchpad = await LaunchPad.open(machine.launchpad.settings, { launchIdsAhead: 16 });
  const take = () => claim(launchpad, fworker, { launchDir, begins: true });
  let landing: Promise<unknown> = Promise.resolve();
  let next = take();
  for (let i = 1; i <= count; i++) {
    const claimed = await next;
    if (!claimed) throw new Error(`Nothing was READY after ${i - 1} rockets`);
    await landing;
    const alone = endsAlone(launchpad, claimed, fwAction(), 'COMPLETED');
    if (alone && i < count) next = take();
    landing = complete(launchpad, claimed, fwAction(), 'COMPLETED');
    if (alone || i === count) continue;
    await landing;
    next = take();
  }
  await landing;
}

const FLIGHTS: Flights[] = [
  {
    name: 'one-by-one',
    about: '1,000 workflows of one Firework',
    workflows: () => Array.from({ length: 1000 }, (_, i) => single(i + 1)),
    count: 1000,
    repeats: 5,
  },
  {
    name: 'fan-out-400',
    about: 'the first 200 of a root with 400 children',
    workflows: () => [fanOut(400)],
    count: 200,
  },
  {
    name: 'fan-out-2000',
    about: 'a root with 2,000 children, of which the peer flies the first 500',
    workflows: () => [fanOut(2000)],
    count: 2000,
    peerCount: 500,
    onRequest: true,
  },
];

const MANY = 10_000;

const add: Bench = {
  name: 'add-10000',
  about: `a workflow dictionary of ${MANY} Fireworks is checked and stored; peer: Workflow.from_dict and add_wf`,
  unit: 'Fireworks/s',
  repeats: 3,
  async open() {
    const machine = await oneMachine();
    return {
      async ours() {
        await machine.launchpad.reset();
        const dict = fanOut(MANY - 1);
        const start = performance.now();
        await addWorkflows(machine.launchpad, [newWorkflow(dict)]);
        return MANY / ((performance.now() - start) / 1000);
      },
      peer: python
        ? async () => {
            await machine.launchpad.reset();
            return MANY / Number(await askPeer(machine, 'add', String(MANY)));
          }
        : null,
      [Symbol.asyncDispose]: () => machine[Symbol.asyncDispose](),
    };
  },
};

export const benches: Bench[] = [
  ...FLIGHTS.map((flights) => rockets(flights, 'launchpad')),
  ...FLIGHTS.map((flights) => rockets(flights, 'script')),
  add,
];
