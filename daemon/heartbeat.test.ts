/** A worker tells that it lives, whatever its task does; and learns that its launch was taken away. */
import { describe, expect, test } from 'bun:test';
import { readEndpoints } from '../core/cloud/endpoints.ts';
import { Storage } from '../core/cloud/storage.ts';
import { type Doc, detectLostRuns, ping } from '../core/launchpad/index.ts';
import { silent } from '../core/log.ts';
import { MINUTE } from '../core/wait.ts';
import { testCloud } from '../sandbox/gcp/test_cloud.ts';
import { fly } from './flight.ts';
import { Heartbeat, sleepAwake } from './heartbeat.ts';
import { type TestWorker, testWorker, until } from './test_worker.ts';

const task = { _fw_name: 'ScriptTask', script: 'true' };
const beatOf = async (worker: TestWorker, fwId = 1) =>
  ((await worker.launch(fwId)).state_history as Doc[]).at(-1)?.updated_on as string;

/** Waits for so many heartbeats that differ. */
async function beats(worker: TestWorker, count: number): Promise<void> {
  const heard = new Set<string>();
  await until(`${count} heartbeats`, async () => heard.add(await beatOf(worker)).size >= count);
}

/** A Docker Engine that has no image, and whose registry never gets to the end of one. */
function slowRegistry() {
  const pulls: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    idleTimeout: 0,
    fetch(request) {
      const { pathname, search } = new URL(request.url);
      if (pathname === '/_ping') return new Response('OK', { headers: { 'api-version': '1.47' } });
      if (!pathname.endsWith('/images/create'))
        return Response.json({ message: 'No such image' }, { status: 404 });
      pulls.push(search);
      const layer = { status: 'Downloading', id: 'a', progressDetail: { current: 1, total: 1000 } };
      const body = new ReadableStream({
        start: (controller) => controller.enqueue(`${JSON.stringify(layer)}\n`),
      });
      return new Response(body);
    },
  });
  return { env: { ...process.env, DOCKER_HOST: `tcp://127.0.0.1:${server.port}` }, server, pulls };
}

test('beats while an image is pulled and inputs are fetched; both end at once when the worker must stop', async () => {
  await using cloud = await testCloud();
  const { env, server, pulls } = slowRegistry();
  using _ = server;
  const endpoint = readEndpoints({ STORAGE_EMULATOR_HOST: cloud.origin });
  await using worker = await testWorker({ pingMs: 20, env, storage: async () => new Storage(endpoint) });
  const storage = new Storage(endpoint);
  await storage.write('sandbox', 'in/big.txt', 'much');
  cloud.faults.add({ service: 'storage', match: 'GET', times: 100, delayMs: 1500 });
  await worker.add([
    {
      _fw_name: 'DockerTask',
      name: 'slow',
      image: 'registry.invalid/tool:1',
      command: 'true',
      internal_prefix: '/data',
      storage_prefix: 'sandbox/in/',
      inputs: ['/data/big.txt'],
    },
  ]);
  const landing = worker.fly();
  await until('the pull', () => pulls.length > 0);
  await beats(worker, 4);
  worker.stop('SIGTERM');
  expect(await landing).toBe('givenUp');
  expect((await worker.firework(1)).state).toBe('READY');
});

test('stops when it is told that the launch is another’s, and says so', async () => {
  await using worker = await testWorker({ pingMs: 20 });
  await worker.add([{ ...task, script: 'touch running; sleep 600' }]);
  const claim = await worker.claim();
  const landing = fly(worker.pad, claim);
  await until('the task', () =>
    worker.file('running').then(
      () => true,
      () => false,
    ),
  );
  await detectLostRuns(worker.launchpad, { expirationSecs: -1, rerun: true, maxLostRuns: 5 });
  const again = await worker.claim();
  expect(await landing).toBe('lost');
  // Nothing was written over the new run.
  expect(await worker.launch(1)).toMatchObject({ launch_id: again.launchId, state: 'RUNNING', action: null });
  expect(await ping(worker.launchpad, again.launchId)).toBe(true);
});

test('is quiet when it is over', async () => {
  await using worker = await testWorker({ pingMs: 20 });
  await worker.add([task]);
  const claim = await worker.claim();
  {
    await using _ = new Heartbeat(worker.launchpad, claim, 10, silent);
    await beats(worker, 2);
  }
  const last = await beatOf(worker);
  await Bun.sleep(50);
  expect(await beatOf(worker)).toBe(last);
});

describe('the wait between two heartbeats', () => {
  const never = new AbortController().signal;

  test('is over soon after a suspended machine goes on, when the time has passed outside', async () => {
    let suspended = 0;
    const wall = () => Date.now() + suspended;
    const waiting = sleepAwake(60 * MINUTE, never, { wall, noticeMs: 5 });
    suspended = 4 * 60 * MINUTE;
    expect(await waiting).toBe(true);
  });

  test('is no longer when somebody sets the clock back', async () => {
    let back = 0;
    const wall = () => Date.now() - back;
    const waiting = sleepAwake(50, never, { wall, noticeMs: 5 });
    back = 4 * 60 * MINUTE;
    expect(await waiting).toBe(true);
  });

  test('is cut short', async () => {
    const stop = new AbortController();
    const waiting = sleepAwake(60 * MINUTE, stop.signal);
    stop.abort();
    expect(await waiting).toBe(false);
    expect(await sleepAwake(0, stop.signal)).toBe(false);
  });
});
