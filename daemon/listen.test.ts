/** What a VM's metadata tells while its worker runs. */
import { expect, test } from 'bun:test';
import { loggerTo } from '../core/log.ts';
import { testCloud } from '../sandbox/gcp/test_cloud.ts';
import { openCloud } from './cloud.ts';
import { isPreempted, watchMetadata } from './listen.ts';
import { Stopping } from './stopping.ts';
import { until } from './test_worker.ts';

/** A VM whose metadata server counts what is asked of it. */
async function vm() {
  const cloud = await testCloud();
  await cloud.boot('demo-0');
  const real = cloud.compute.vms.get('demo-0')?.vm.metadataHost;
  const asked: string[] = [];
  const counting = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    idleTimeout: 0,
    fetch(request) {
      const { pathname, search } = new URL(request.url);
      asked.push(pathname + search);
      const { headers, signal } = request;
      return fetch(`http://${real}${pathname}${search}`, { headers, signal });
    },
  });
  const own = await openCloud({ GCE_METADATA_HOST: `127.0.0.1:${counting.port}` });
  const said: string[] = [];
  const log = loggerTo([({ message }) => void said.push(message)]);
  const stopping = new Stopping(log);
  const ears = new AbortController();
  const start = [...asked];
  const watching = watchMetadata(own, stopping, log, ears.signal);
  return {
    own,
    said,
    asked,
    stopping,
    /** What was asked before the watch began. */
    start,
    async set(quit: string) {
      const { metadata } = await cloud.json('GET', `${cloud.zone}/instances/demo-0`);
      const { fingerprint } = metadata as { fingerprint: string };
      const items = [{ key: 'quit', value: quit }];
      await cloud.json('POST', `${cloud.zone}/instances/demo-0/setMetadata`, { fingerprint, items });
    },
    preempt: () => cloud.preempt('demo-0'),
    async [Symbol.asyncDispose]() {
      ears.abort();
      await watching;
      await counting.stop(true);
      await cloud[Symbol.asyncDispose]();
    },
  };
}

test('all attributes come by one recursive request; quit and preemption by one more, which waits', async () => {
  await using worker = await vm();
  expect(worker.start).toEqual([
    '/computeMetadata/v1/instance/?recursive=true',
    '/computeMetadata/v1/project/project-id',
  ]);
  const waits = () => worker.asked.slice(worker.start.length);
  await until('two questions', () => waits().length === 2);
  await Bun.sleep(300);
  // The first is answered at once, the second when something changes.
  expect(waits()).toHaveLength(2);
  expect(waits()[1]).toContain('/instance/?recursive=true&wait_for_change=true');
  await worker.set('when-idle');
  await until('when-idle', () => worker.stopping.quitWhenIdle);
  await worker.set('soon');
  await until('soon', () => worker.stopping.noMore.aborted);
  expect([worker.stopping.reason?.haste, await isPreempted(worker.own)]).toEqual(['when they land', false]);
  const ended = worker.preempt();
  await until('the notice', () => worker.stopping.now.aborted);
  expect(await isPreempted(worker.own)).toBe(true);
  await ended;
  expect(worker.said.map((line) => line.split('.')[0])).toEqual([
    'quit=when-idle was asked for: stopping when nothing is READY',
    'Stopping: quit=soon was asked for',
    'Stopping now: this VM is being preempted',
  ]);
  expect(worker.stopping.reason?.why).toBe('quit=soon was asked for');
});

test('a word that is not known is told, and the worker goes on', async () => {
  await using worker = await vm();
  await worker.set('now');
  await until('the warning', () => worker.said.length > 0);
  expect(worker.said).toEqual(['quit=now (VM metadata) is not known: use soon or when-idle']);
  expect(worker.stopping.reason).toBeNull();
});
