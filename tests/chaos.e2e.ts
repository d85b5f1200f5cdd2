/**
 * Two minutes in which a worker, or the LaunchPad, is killed every few seconds and started again: every task completes, none
 * was running twice at once, and every document is as it should be.
 *
 * BOREALIS_CHAOS_SECONDS=20 makes it shorter, for a look.
 */
import { expect, test } from 'bun:test';
import { SECOND, sleep } from '../core/wait.ts';
import { exclusiveStep, linesOf } from './exclusive_step.ts';
import { faultsIn } from './invariants.ts';
import { type OneMachine, oneMachine, type Running, until } from './one_machine.ts';

const CHAOS_MS = Number(process.env.BOREALIS_CHAOS_SECONDS ?? 120) * SECOND;
const WORKERS = 8;
/** 2,000 tasks of two minutes' work for eight workers. */
const WORKFLOWS = Math.round(CHAOS_MS / SECOND / 6);
const WIDE = 98;
const TASK_SECONDS = 0.3;

const HASTY = { FIREWORKER_PING_TIME_SECS: '0.5', FIREWORKER_LOST_RUN_SECS: '3' };

/** One that comes first, many side by side, one that waits for them. */
function fanOutAndIn(number: number) {
  const ids = Array.from({ length: WIDE + 2 }, (_, i) => number * (WIDE + 2) + i + 1);
  const [root, ...many] = ids as [number, ...number[]];
  const join = many.pop() as number;
  return {
    name: `workflow ${number}`,
    fws: ids.map((id) => exclusiveStep(id, TASK_SECONDS)),
    links: { [root]: many, ...Object.fromEntries(many.map((id) => [id, [join]])) },
  };
}

/** Kills at random until the time is over. Returns how many workers and servers were killed. */
async function rage(machine: OneMachine, workers: Running[], untilMs: number) {
  const killed = { workers: 0, servers: 0 };
  for (let n = workers.length; Date.now() < untilMs; n++) {
    await sleep(1000 + Math.random() * 3000);
    if (Math.random() < 0.3) {
      await machine.killServer();
      await sleep(Math.random() * 1000);
      await machine.startServer();
      killed.servers++;
    } else {
      const at = Math.floor(Math.random() * workers.length);
      workers[at]?.process.kill('SIGKILL');
      workers[at] = await machine.worker(`worker-${n}`, HASTY);
      killed.workers++;
    }
  }
  return killed;
}

/** What is known of a step, for the person who has to find out why it failed, or ran twice. */
async function told(machine: OneMachine, step: string): Promise<string> {
  const { fireworks, launches } = machine.launchpad;
  const firework = await fireworks.findOne({ name: `step ${step}` });
  const ids = [...(firework?.launches ?? []), ...(firework?.archived_launches ?? [])];
  const own = await launches.find({ launch_id: { $in: ids } }).toArray();
  const find = `grep -w 'fw ${firework?.fw_id}' worker-*/log; grep -E 'Reran|Mended|Freed|away|lost' worker-*/log | sort -k2`;
  const logs = Bun.spawnSync(['sh', '-c', find], { cwd: machine.folder });
  return [
    `step ${step} is Firework ${firework?.fw_id}`,
    ...own.map(
      ({ launch_id, fworker, state_history, action }) =>
        `${launch_id} ${fworker.name} ${JSON.stringify([state_history, action?.stored_data])}`,
    ),
    ...(await linesOf(machine, `began.${step}`)),
    logs.stdout.toString(),
  ].join('\n');
}

test(
  'killed again and again, all of it completes, once',
  async () => {
    await using machine = await oneMachine();
    for (let i = 0; i < WORKFLOWS; i++) await machine.add(fanOutAndIn(i));
    const workers = await Promise.all(
      Array.from({ length: WORKERS }, (_, i) => machine.worker(`worker-${i}`, HASTY)),
    );
    const killed = await rage(machine, workers, Date.now() + CHAOS_MS);
    console.log(`killed ${killed.workers} workers and ${killed.servers} LaunchPad servers`);
    const { fireworks, workflows } = machine.launchpad;
    await until(
      'all workflows end',
      async () =>
        (await workflows.countDocuments({ state: { $nin: ['COMPLETED', 'FIZZLED'] } }).catch(() => 1)) === 0,
      CHAOS_MS + 120 * SECOND,
    );
    const count = WORKFLOWS * (WIDE + 2);
    const failed = await fireworks.find({ state: 'FIZZLED' }).toArray();
    const steps = failed.map(({ name }) => name.replace('step ', ''));
    expect((await Promise.all(steps.map((id) => told(machine, id)))).join('\n\n')).toBe('');
    expect(await fireworks.countDocuments({ state: 'COMPLETED' })).toBe(count);
    const twice = await linesOf(machine, 'twice');
    expect((await Promise.all(twice.map((id) => told(machine, id)))).join('\n\n')).toBe('');
    for (let id = 1; id <= count; id++)
      expect({ id, ended: (await linesOf(machine, `ended.${id}`)).length > 0 }).toEqual({ id, ended: true });
    expect(await faultsIn(machine.launchpad)).toEqual([]);
    for (const worker of workers)
      if (worker.process.exitCode !== null) throw new Error(`a worker ended: ${await worker.said()}`);
  },
  CHAOS_MS * 2 + 300_000,
);
