/** What `lpad` shows may be far larger than its memory: with ten times the documents it needs little more than before. */
import { expect, test } from 'bun:test';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Document } from 'mongodb';
import { isoTime, type LaunchPad } from '../core/launchpad/index.ts';
import { sleep } from '../core/wait.ts';
import { type OneMachine, oneMachine } from './one_machine.ts';

const FEW = 5000;
const MANY = 50_000;
/** Those more are some 120 MB in the database, and several times as much when they are held as objects. */
const MORE_MB = 75;
/** Fireworks of one workflow. */
const SIZE = 50;
const borealisctl = resolve(import.meta.dir, '..', 'dist', 'borealisctl');

const at = isoTime(new Date(Date.now() - 1e9));

/** Workflows whose Fireworks have specs of a kilobyte and a launch each, those of every tenth FIZZLED. */
async function fill({ fireworks, launches, workflows }: LaunchPad, from: number, to: number): Promise<void> {
  for (let first = from + 1; first <= to; first += 1000) {
    const ids = Array.from({ length: 1000 }, (_, i) => first + i);
    await fireworks.insertMany(ids.map(firework));
    await launches.insertMany(ids.map(launch));
    await workflows.insertMany(ids.filter((id) => id % SIZE === 1).map(workflow));
  }
}

const stateOf = (id: number) => (id % 10 === 0 ? 'FIZZLED' : 'COMPLETED');

const firework = (id: number): Document => ({
  ...{ fw_id: id, name: `step ${id}`, state: stateOf(id), launches: [id], archived_launches: [] },
  spec: { _tasks: [{ _fw_name: 'ScriptTask', script: `echo ${'x'.repeat(1000)}` }], number: id },
  ...{ created_on: at, updated_on: at },
});

const launch = (id: number): Document => ({
  ...{
    launch_id: id,
    fw_id: id,
    state: stateOf(id),
    host: 'h',
    ip: '1.1.1.1',
    launch_dir: `/launches/${id}`,
  },
  ...{ trackers: [], fworker: { name: 'w', category: '', query: '{}', env: {} } },
  action: { stored_data: { said: 'y'.repeat(500) } },
  state_history: [
    { state: 'RUNNING', created_on: at, updated_on: at },
    { state: stateOf(id), created_on: at },
  ],
  ...{ time_start: at, time_end: at, runtime_secs: 0.5 },
});

function workflow(first: number): Document {
  const nodes = Array.from({ length: SIZE }, (_, i) => first + i);
  const each = (value: (id: number) => unknown) => Object.fromEntries(nodes.map((id) => [id, value(id)]));
  return {
    ...{ nodes, name: `workflow ${first}`, state: 'FIZZLED', metadata: {}, fw_states: each(stateOf) },
    links: each((id) => (id === first ? nodes.slice(1) : [])),
    parent_links: Object.fromEntries(nodes.slice(1).map((id) => [id, [first]])),
    ...{ created_on: new Date(at), updated_on: new Date(at) },
  };
}

/** On a large machine the collector lets garbage lie. It is told of a small one, so that what is held is what counts. */
const SMALL = { BUN_JSC_forceRAMSize: '100000000' };

/** The most memory that the command had, in megabytes. */
async function peak(machine: OneMachine, words: readonly string[]): Promise<number> {
  const child = Bun.spawn([borealisctl, 'lpad', '-l', 'my_launchpad.yaml', ...words], {
    cwd: machine.folder,
    env: { PATH: process.env.PATH, HOME: machine.folder, TMPDIR: machine.folder, ...SMALL },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let kilobytes = 0;
  // What the system tells of an ended process includes the one that it was forked from.
  while (child.exitCode === null && child.signalCode === null) {
    const status = await readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => '');
    kilobytes = Math.max(kilobytes, Number(/VmHWM:\s*(\d+)/.exec(status)?.[1] ?? 0));
    await sleep(10);
  }
  if (child.exitCode !== 0)
    throw new Error(`lpad ${words.join(' ')}: ${await new Response(child.stderr).text()}`);
  return Math.round(kilobytes / 1000);
}

const COMMANDS = [
  'get_fws -d ids',
  'get_fws -d less',
  'get_fws -d more',
  'get_fws -d all',
  'get_fws -lm -d less',
  'get_fws --rsort updated_on -d less',
  'get_fws_in_wflows -d less',
  'get_wflows -d less',
  'get_wflows -d more',
  'get_wflows -d all',
  'get_wflows -t',
  'track_fws',
  'report -c fws',
  'report -c launches',
  'introspect',
  'detect_lostruns',
  'detect_unreserved',
  'orphaned',
  'set_priority 3 -s FIZZLED --yes',
];

test('ten times the documents, little more memory', async () => {
  await using machine = await oneMachine();
  await fill(machine.launchpad, 0, FEW);
  const few = new Map<string, number>();
  for (const command of COMMANDS) few.set(command, await peak(machine, command.split(' ')));
  await fill(machine.launchpad, FEW, MANY);
  const grown: string[] = [];
  for (const command of COMMANDS) {
    const [before, after] = [few.get(command) as number, await peak(machine, command.split(' '))];
    if (after - before > MORE_MB) grown.push(`${command}: ${before} MB, then ${after} MB`);
  }
  expect(grown).toEqual([]);
}, 600_000);
