/** The worker's loop, with real rockets on a real LaunchPad. */
import { expect, test } from 'bun:test';
import { complete, type Doc, fwAction } from '../core/launchpad/index.ts';
import { MINUTE } from '../core/wait.ts';
import { Stopping } from './stopping.ts';
import { type TestWorker, testWorker, until } from './test_worker.ts';
import { type WorkerOptions, work } from './worker.ts';

const script = (text: string): Doc => ({ _fw_name: 'ScriptTask', script: text });

/** Starts the loop; its idle times are long unless the test shortens them. */
function start(worker: TestWorker, o: Partial<WorkerOptions> = {}) {
  const stopping = new Stopping(worker.pad.log);
  const options = {
    idleForRocketsMs: 10 * MINUTE,
    idleForWaitersMs: 10 * MINUTE,
    lostRunMs: 0,
    once: false,
    launchDir: (id: number) => `${worker.folder}/launcher_${id}`,
    ...o,
  };
  return { stopping, done: work({ ...worker.pad, stopNow: stopping.now }, stopping, options) };
}
const landings = { completed: 0, fizzled: 0, givenUp: 0, lost: 0 };

test('flies what is READY, the most urgent first, until it has idled', async () => {
  await using worker = await testWorker();
  for (const [priority, text] of [
    [1, 'true'],
    [3, 'exit 1'],
    [2, 'true'],
  ] as const)
    await worker.add([script(text)], { _priority: priority });
  const { done } = start(worker, { idleForRocketsMs: 50, idleForWaitersMs: 50 });
  expect(await done).toEqual({ why: 'idle for 0 s', landings: { ...landings, completed: 2, fizzled: 1 } });
  const launches = await worker.launchpad.launches.find({}).sort({ launch_id: 1 }).toArray();
  expect(launches.map(({ fw_id }) => fw_id)).toEqual([2, 3, 1]);
});

test('nothing waits for work that runs: the shorter idle time holds', async () => {
  await using worker = await testWorker();
  const { done } = start(worker, { idleForRocketsMs: 50 });
  expect((await done).why).toBe('idle for 0 s, and nothing waits for work that runs');
});

test('something waits for work that runs elsewhere: the longer idle time holds, and it is flown when it is READY', async () => {
  await using worker = await testWorker();
  await worker.add([script('true')], {}, 1);
  const elsewhere = await worker.claim();
  const { done, stopping } = start(worker, { idleForRocketsMs: 20 });
  await Bun.sleep(100);
  await complete(worker.launchpad, elsewhere, fwAction(), 'COMPLETED');
  await until('the child', async () => (await worker.firework(2)).state === 'COMPLETED');
  stopping.ask('enough', 'after this rocket');
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
  await worker.add([script('touch running; while ! test -e go; do sleep 0.02; done')]);
  await worker.add([script('true')]);
  const { done, stopping } = start(worker);
  await until('the rocket', () =>
    worker.file('running').then(
      () => true,
      () => false,
    ),
  );
  stopping.ask('quit=soon was asked for', 'after this rocket');
  await Bun.write(`${worker.folder}/launcher_1/go`, '');
  expect(await done).toEqual({ why: 'quit=soon was asked for', landings: { ...landings, completed: 1 } });
  expect((await worker.firework(2)).state).toBe('READY');
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
  await until('the rocket', () =>
    worker.file('running').then(
      () => true,
      () => false,
    ),
  );
  busy.stopping.ask('SIGTERM', 'now');
  expect(await busy.done).toEqual({ why: 'SIGTERM', landings: { ...landings, givenUp: 1 } });
  expect((await worker.firework(1)).state).toBe('READY');
});
