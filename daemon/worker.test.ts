/** The worker's loop, with real rockets on a real LaunchPad. */
import { describe, expect, test } from 'bun:test';
import {
  addWorkflows,
  complete,
  type Doc,
  fwAction,
  giveUp,
  type LaunchPad,
  newWorkflow,
} from '../core/launchpad/index.ts';
import { MINUTE } from '../core/wait.ts';
import { Stopping } from './stopping.ts';
import { type TestWorker, testWorker, until } from './test_worker.ts';
import { type WorkerOptions, work } from './worker.ts';

const script = (text: string): Doc => ({ _fw_name: 'ScriptTask', script: text });

/** Starts the loop; its idle times are long unless the test shortens them. */
function start(worker: TestWorker, o: Partial<WorkerOptions> = {}, stopping = new Stopping(worker.pad.log)) {
  const options = {
    idleForRocketsMs: 10 * MINUTE,
    idleForWaitersMs: 10 * MINUTE,
    lostRunMs: 0,
    maxLostRuns: 5,
    pingMs: MINUTE,
    once: false,
    room: { slots: 1, cpus: 4, memory: 16 },
    onSpot: null,
    launchDir: (id: number) => `${worker.folder}/launcher_${id}`,
    ...o,
  };
  return {
    stopping,
    done: work({ ...worker.pad, stopNow: stopping.now, giveBack: stopping.giveBack }, stopping, options),
  };
}

/** Files that a test or a task makes are how they wait for each other. */
const exists = (worker: TestWorker, name: string, launchId = 1) =>
  until(`${name} of launch ${launchId}`, () =>
    worker.file(name, launchId).then(
      () => true,
      () => false,
    ),
  );
const go = (worker: TestWorker, launchId = 1) => Bun.write(`${worker.folder}/launcher_${launchId}/go`, '');
const states = (worker: TestWorker, ...fwIds: number[]) =>
  Promise.all(fwIds.map(async (id) => (await worker.firework(id)).state));
const untilGo = script('touch running; while ! test -e go; do sleep 0.02; done');

const landings = { completed: 0, fizzled: 0, givenUp: 0, lost: 0 };

/** A busy machine may need a second. */
const IDLE = /^idle for \d+ s$/;
const NOTHING_WAITS = /^idle for \d+ s, and nothing waits for work that runs$/;

test('flies what is READY, the most urgent first, until it has idled', async () => {
  await using worker = await testWorker();
  for (const [priority, text] of [
    [1, 'true'],
    [3, 'exit 1'],
    [2, 'true'],
  ] as const)
    await worker.add([script(text)], { _priority: priority });
  const { done } = start(worker, { idleForRocketsMs: 50, idleForWaitersMs: 50 });
  expect(await done).toEqual({
    why: expect.stringMatching(IDLE),
    landings: { ...landings, completed: 2, fizzled: 1 },
  });
  const launches = await worker.launchpad.launches.find({}).sort({ launch_id: 1 }).toArray();
  expect(launches.map(({ fw_id }) => fw_id)).toEqual([2, 3, 1]);
});

test('nothing waits for work that runs: the shorter idle time holds', async () => {
  await using worker = await testWorker();
  const { done } = start(worker, { idleForRocketsMs: 50 });
  expect((await done).why).toMatch(NOTHING_WAITS);
});

test('something waits for work that runs elsewhere: the longer idle time holds, and it is flown when it is READY', async () => {
  await using worker = await testWorker();
  await worker.add([script('true')], {}, 1);
  const elsewhere = await worker.claim();
  const { done, stopping } = start(worker, { idleForRocketsMs: 20 });
  await Bun.sleep(100);
  await complete(worker.launchpad, elsewhere, fwAction(), 'COMPLETED');
  await until('the child', async () => (await worker.firework(2)).state === 'COMPLETED');
  stopping.ask('enough', 'when they land');
  expect(await done).toMatchObject({ landings: { completed: 1 } });
});

test('--once: one rocket, or none', async () => {
  await using worker = await testWorker();
  await worker.add([script('true')]);
  await worker.add([script('true')]);
  const why = async () => (await start(worker, { once: true }).done).why;
  expect([await why(), await why(), await why()]).toEqual([
    'one rocket was asked for (--once)',
    'one rocket was asked for (--once)',
    'nothing is READY (--once)',
  ]);
});

test('quit=soon in flight: the rocket lands, and no other starts', async () => {
  await using worker = await testWorker();
  await worker.add([untilGo]);
  await worker.add([script('true')]);
  const { done, stopping } = start(worker);
  await exists(worker, 'running');
  stopping.ask('quit=soon was asked for', 'when they land');
  await go(worker);
  expect(await done).toEqual({ why: 'quit=soon was asked for', landings: { ...landings, completed: 1 } });
  expect((await worker.firework(2)).state).toBe('READY');
});

/** Has something happen before each end of a rocket that nothing waits for is written. */
function beforeEnds({ admin, workflows }: LaunchPad, happens: () => Promise<unknown>): void {
  const command = admin.command.bind(admin);
  admin.command = async (...words) => {
    if (JSON.stringify(words[0]).includes('COMPLETED')) await happens();
    return await command(...words);
  };
  // On a MongoDB before 8.0.
  const write = workflows.updateOne.bind(workflows);
  workflows.updateOne = async (...words) => {
    await happens();
    return await write(...words);
  };
}

describe('results of a rocket that nothing waits for', () => {
  test('are on their way while the next one flies, and no more than that', async () => {
    await using worker = await testWorker();
    for (const _ of [1, 2, 3]) await worker.add([script('touch running')]);
    const arrived = Promise.withResolvers<void>();
    beforeEnds(worker.launchpad, () => arrived.promise);
    const { done, stopping } = start(worker);
    await exists(worker, 'running', 2);
    expect(await states(worker, 1, 2, 3)).toEqual(['RUNNING', 'RUNNING', 'READY']);
    await Bun.sleep(100);
    expect(await states(worker, 3)).toEqual(['READY']);
    arrived.resolve();
    stopping.askWhenIdle();
    expect((await done).landings).toEqual({ ...landings, completed: 3 });
    expect(await states(worker, 1, 2, 3)).toEqual(['COMPLETED', 'COMPLETED', 'COMPLETED']);
  });

  test('are written before a worker that stops has stopped', async () => {
    await using worker = await testWorker();
    await worker.add([script('touch running')]);
    beforeEnds(worker.launchpad, async () => {
      stopping.ask('quit=soon was asked for', 'when they land');
      await Bun.sleep(100);
    });
    const { done, stopping } = start(worker);
    expect((await done).landings).toEqual({ ...landings, completed: 1 });
    expect(await states(worker, 1)).toEqual(['COMPLETED']);
  });

  test('after which something follows all the same: it is flown at once', async () => {
    await using worker = await testWorker();
    const fws = [1, 2, 3].map((fw_id) => ({ fw_id, name: `${fw_id}`, spec: { _tasks: [script('true')] } }));
    await addWorkflows(worker.launchpad, [newWorkflow({ fws, links: { 1: [3], 2: [3] } })]);
    const { done, stopping } = start(worker);
    await until('the child', async () => (await worker.firework(3)).state === 'COMPLETED');
    stopping.ask('enough', 'when they land');
    expect((await done).landings).toEqual({ ...landings, completed: 3 });
  });
});

test('quit=when-idle: everything that is READY is flown before', async () => {
  await using worker = await testWorker();
  await worker.add([script('true')], {}, 2);
  const { done, stopping } = start(worker);
  stopping.askWhenIdle();
  expect(await done).toEqual({
    why: 'quit=when-idle was asked for, and nothing is READY',
    landings: { ...landings, completed: 3 },
  });
});

test('a wish to stop wakes an idle worker, and gives back what flies', async () => {
  await using worker = await testWorker();
  const idle = start(worker);
  await Bun.sleep(50);
  idle.stopping.ask('SIGTERM', 'now');
  expect(await idle.done).toEqual({ why: 'SIGTERM', landings });
  await worker.add([script('touch running; sleep 600')]);
  const busy = start(worker);
  await exists(worker, 'running');
  busy.stopping.ask('SIGTERM', 'now');
  expect(await busy.done).toEqual({ why: 'SIGTERM', landings: { ...landings, givenUp: 1 } });
  expect((await worker.firework(1)).state).toBe('READY');
});

test('a task that does not end: its Firework is given back when its time is over', async () => {
  await using worker = await testWorker({ graceMs: 10 * MINUTE });
  await worker.add([script("trap '' TERM; touch running; while :; do sleep 600; done")]);
  const times = { graceMs: 10 * MINUTE, giveBackMs: 100, leaveMs: 10 * MINUTE };
  const { done, stopping } = start(worker, {}, new Stopping(worker.pad.log, times));
  await exists(worker, 'running');
  stopping.ask('SIGTERM', 'now');
  expect((await done).landings).toEqual({ ...landings, givenUp: 1 });
  expect((await worker.firework(1)).state).toBe('READY');
  expect(worker.said.map(({ message }) => message)).toContain(
    'The task does not end: its Firework is given back all the same',
  );
});

test('every reason to stop is logged once', async () => {
  await using worker = await testWorker();
  const { done, stopping } = start(worker, { idleForRocketsMs: 30, idleForWaitersMs: 30 });
  await done;
  stopping.ask('quit=soon was asked for', 'when they land');
  expect(worker.said.map(({ message }) => message).filter((text) => text.startsWith('Stopping'))).toEqual([
    expect.stringMatching(/^Stopping: idle for \d+ s$/),
  ]);
});

test('told to stop before it began, it takes nothing', async () => {
  await using worker = await testWorker();
  await worker.add([script('true')]);
  const stopping = new Stopping(worker.pad.log);
  stopping.ask('SIGTERM', 'now');
  const { done } = start(worker, {}, stopping);
  expect(await done).toEqual({ why: 'SIGTERM', landings });
  expect((await worker.firework(1)).state).toBe('READY');
});

test('a Firework that breaks the worker: what else flies lands before it ends', async () => {
  await using worker = await testWorker();
  await worker.add([script(`${untilGo.script}; exit 1`)]);
  await worker.add([untilGo]);
  const { done } = start(worker, { room: { slots: 2, cpus: 4, memory: 16 } });
  const failure = done.catch((thrown: Error) => thrown);
  await Promise.all([exists(worker, 'running'), exists(worker, 'running', 2)]);
  // A launch that is none: nothing that a worker could wait for.
  await worker.launchpad.launches.updateOne({ fw_id: 1 }, { $unset: { state_history: '' } });
  await go(worker);
  await until('the end of the first', () =>
    worker.said.some(({ message }) => message === 'Stopping: an unexpected error'),
  );
  await go(worker, 2);
  expect(await failure).toBeInstanceOf(TypeError);
  expect((await worker.firework(2)).state).toBe('COMPLETED');
});

describe('slots', () => {
  const room = (slots: number) => ({ room: { slots, cpus: 4, memory: 16 } });

  test('so many rockets fly at a time, in folders of their own, and log with their own labels', async () => {
    await using worker = await testWorker();
    for (let i = 0; i < 4; i++) await worker.add([untilGo]);
    const { done, stopping } = start(worker, room(3));
    await Promise.all([1, 2, 3].map((id) => exists(worker, 'running', id)));
    expect((await worker.firework(4)).state).toBe('READY');
    await go(worker, 2);
    await exists(worker, 'running', 4);
    stopping.askWhenIdle();
    await Promise.all([1, 3, 4].map((id) => go(worker, id)));
    expect((await done).landings).toEqual({ ...landings, completed: 4 });
    for (const id of [1, 2, 3, 4]) {
      const own = worker.said.filter(({ labels }) => labels.fw_id === id && labels.launch_id === id);
      expect(own.map(({ message }) => message)).toContainEqual(
        expect.stringContaining(`Running Firework ${id} `),
      );
    }
  });

  test('what a rocket makes READY is taken by a slot that idles', async () => {
    await using worker = await testWorker();
    await worker.add([script('true')], {}, 3);
    const { done, stopping } = start(worker, room(3));
    await until(
      'all of them',
      async () => (await worker.launchpad.workflows.findOne({}))?.state === 'COMPLETED',
    );
    stopping.ask('enough', 'when they land');
    expect((await done).landings).toEqual({ ...landings, completed: 4 });
  });

  test('quit=soon: all that flies lands, and no other starts', async () => {
    await using worker = await testWorker();
    for (let i = 0; i < 3; i++) await worker.add([untilGo]);
    const { done, stopping } = start(worker, room(2));
    await Promise.all([1, 2].map((id) => exists(worker, 'running', id)));
    stopping.ask('quit=soon was asked for', 'when they land');
    await go(worker);
    await until('the first lands', async () => (await worker.firework(1)).state === 'COMPLETED');
    expect((await worker.firework(3)).state).toBe('READY');
    await go(worker, 2);
    expect(await done).toEqual({ why: 'quit=soon was asked for', landings: { ...landings, completed: 2 } });
    expect((await worker.firework(3)).state).toBe('READY');
  });

  test('told to stop now: all that flies is given back', async () => {
    await using worker = await testWorker();
    for (let i = 0; i < 3; i++) await worker.add([script('touch running; sleep 600')]);
    const { done, stopping } = start(worker, room(3));
    await Promise.all([1, 2, 3].map((id) => exists(worker, 'running', id)));
    stopping.ask('SIGTERM', 'now');
    expect(await done).toEqual({ why: 'SIGTERM', landings: { ...landings, givenUp: 3 } });
    for (const id of [1, 2, 3])
      expect(await worker.firework(id)).toMatchObject({ state: 'READY', preemptions: 1 });
  });

  test('--once: one in each, and no second', async () => {
    await using worker = await testWorker();
    for (let i = 0; i < 3; i++) await worker.add([untilGo]);
    const { done } = start(worker, { ...room(2), once: true });
    await Promise.all([1, 2].map((id) => exists(worker, 'running', id)));
    await Promise.all([1, 2].map((id) => go(worker, id)));
    expect(await done).toEqual({
      why: 'one rocket a slot was asked for (--once)',
      landings: { ...landings, completed: 2 },
    });
    expect((await worker.firework(3)).state).toBe('READY');
  });

  test('what does not fit beside what flies is left to others, and taken when there is room', async () => {
    await using worker = await testWorker();
    await worker.add([untilGo], { _cpus: 3, _priority: 9 });
    await worker.add([untilGo], { _cpus: 2, _priority: 8 });
    await worker.add([untilGo], { _cpus: 1, _memory: 4 });
    const { done, stopping } = start(worker, room(4));
    await Promise.all([1, 2].map((launchId) => exists(worker, 'running', launchId)));
    const flying = async () =>
      (await worker.launchpad.fireworks.distinct('fw_id', { state: 'RUNNING' })).sort();
    expect(await flying()).toEqual([1, 3]);
    // Long enough for another look.
    await Bun.sleep(600);
    expect(await flying()).toEqual([1, 3]);
    await go(worker, 1);
    await exists(worker, 'running', 3);
    expect(await flying()).toEqual([2, 3]);
    stopping.ask('enough', 'when they land');
    await Promise.all([2, 3].map((launchId) => go(worker, launchId)));
    expect((await done).landings).toEqual({ ...landings, completed: 3 });
  });

  test('what never fits is never taken, does not keep the worker, and is told once', async () => {
    await using worker = await testWorker();
    await worker.add([script('true')], { _cpus: 64, _memory: 500 });
    await worker.add([script('true')]);
    const { done } = start(worker, { ...room(1), idleForRocketsMs: 300, idleForWaitersMs: 10 * MINUTE });
    expect(await done).toEqual({
      why: expect.stringMatching(NOTHING_WAITS),
      landings: { ...landings, completed: 1 },
    });
    expect((await worker.firework(1)).state).toBe('READY');
    const warnings = worker.said.filter(({ severity }) => severity === 'WARNING');
    expect(warnings.map(({ message }) => message)).toEqual([
      'Firework 1 is READY and asks for 64 CPUs, 500 GiB; this machine has 4 CPUs, 16 GiB and never takes it. Start a larger VM, or correct its spec: lpad update_fws -i 1',
    ]);
  });
});

describe('on a VM that can be preempted', () => {
  async function preemptedThrice(worker: TestWorker): Promise<void> {
    await worker.add([script('true')]);
    for (let i = 0; i < 3; i++) await giveUp(worker.launchpad, await worker.claim(), 'preempted');
  }

  test('what was preempted too often waits for another worker, and another worker takes it', async () => {
    await using worker = await testWorker();
    await preemptedThrice(worker);
    const spot = start(worker, { onSpot: { maxPreemptions: 3, waitMs: 10 * MINUTE } });
    spot.stopping.askWhenIdle();
    await Bun.sleep(400);
    expect((await worker.firework(1)).state).toBe('READY');
    expect(await start(worker, { once: true }).done).toMatchObject({ landings: { completed: 1 } });
    expect(await spot.done).toEqual({ why: 'quit=when-idle was asked for, and nothing is READY', landings });
  });

  test('when there is no other it is flown after a while, even when the worker should go when idle', async () => {
    await using worker = await testWorker();
    await preemptedThrice(worker);
    const { done, stopping } = start(worker, { onSpot: { maxPreemptions: 3, waitMs: 700 } });
    stopping.askWhenIdle();
    expect(await done).toEqual({
      why: 'quit=when-idle was asked for, and nothing is READY',
      landings: { ...landings, completed: 1 },
    });
  });
});
