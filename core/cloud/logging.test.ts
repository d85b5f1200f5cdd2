import { expect, test } from 'bun:test';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestCloud, testCloud, until } from '../../sandbox/gcp/test_cloud.ts';
import { loggerTo } from '../log.ts';
import { sleep } from '../wait.ts';
import { readEndpoints } from './endpoints.ts';
import { type CloudLogOptions, cloudLog } from './logging.ts';
import { listLogs } from './read_logs.ts';

function open(cloud: TestCloud, o: Partial<CloudLogOptions> = {}) {
  const delays: number[] = [];
  const told: string[] = [];
  const log = cloudLog({
    project: 'sandbox',
    endpoints: readEndpoints(cloud.env),
    resource: {
      type: 'gce_instance',
      labels: { project_id: 'sandbox', instance_id: '5382949283742948472', zone: 'us-west1-b' },
    },
    tell: (severity, message) => void told.push(`${severity} ${message}`),
    minSeverity: 'DEBUG',
    labels: { worker: 'demo-0' },
    sleep: (ms, signal) => {
      delays.push(ms);
      return sleep(ms >= 1000 ? 5 : ms, signal);
    },
    ...o,
  });
  return { ...log, delays, told, say: loggerTo([log.sink]) };
}
const texts = (cloud: TestCloud) => cloud.logging.entries.map(({ textPayload }) => textPayload);

test('lines arrive as they were said, and are read again', async () => {
  await using cloud = await testCloud();
  const log = open(cloud);
  const data = {
    n: 1.5,
    yes: true,
    none: null,
    list: [1, 'a'],
    deep: { a: 'b' },
    at: new Date(0),
    odd: Number.NaN,
    big: 2n,
  };
  log.say.with({ fw_id: 7 }).info('a task');
  log.say.error('It broke: ü', data);
  await log.flush(5000);
  const [first, second] = cloud.logging.entries;
  expect(first).toMatchObject({
    logName: 'projects/sandbox/logs/fireworker',
    resource: {
      type: 'gce_instance',
      labels: { project_id: 'sandbox', instance_id: '5382949283742948472', zone: 'us-west1-b' },
    },
    severity: 'INFO',
    textPayload: 'a task',
    labels: { worker: 'demo-0', fw_id: '7' },
  });
  expect(second).toMatchObject({
    severity: 'ERROR',
    jsonPayload: { message: 'It broke: ü', ...data, at: '1970-01-01T00:00:00.000Z', odd: 'NaN', big: '2' },
  });
  const read = await listLogs('sandbox', readEndpoints(cloud.env), 'labels.worker="demo-0"', 10);
  expect(read.map(({ message, severity }) => [severity, message])).toEqual([
    ['INFO', 'a task'],
    ['ERROR', 'It broke: ü'],
  ]);
  const newest = await listLogs('sandbox', readEndpoints(cloud.env), '', 1);
  expect(newest).toMatchObject([{ message: 'It broke: ü', labels: { worker: 'demo-0' } }]);
  await expect(listLogs('sandbox', readEndpoints(cloud.env), 'severity>=', 1)).rejects.toThrow(
    'Cannot read the logs of project sandbox: Unparseable filter: severity>=',
  );
  const file = await readFile(join(cloud.dir, 'logs', 'fireworker.jsonl'), 'utf8');
  expect(file.trimEnd().split('\n')).toHaveLength(2);
});

test('lines go by themselves, in order, in batches, below the least severity not at all', async () => {
  await using cloud = await testCloud();
  const log = open(cloud, { minSeverity: 'INFO' });
  for (let i = 0; i < 1200; i++) log.say.info(String(i));
  log.say.debug('never');
  await until(() => cloud.logging.entries.length === 1200);
  expect(log.delays).toEqual([1000]);
  expect(texts(cloud)).toEqual(Array.from({ length: 1200 }, (_, i) => String(i)));
  const sorted = await cloud.json('POST', '/v2/entries:list', {
    resourceNames: ['projects/sandbox'],
    pageSize: 1000,
  });
  expect((sorted.entries as { textPayload: string }[]).map(({ textPayload }) => textPayload)).toEqual(
    Array.from({ length: 1000 }, (_, i) => String(i)),
  );
});

test('a slow or failing Logging holds nobody up; what was said meanwhile arrives once, in order', async () => {
  await using cloud = await testCloud();
  const log = open(cloud);
  cloud.faults.add({ service: 'logging', status: 503, times: 2 });
  cloud.faults.add({ service: 'logging', status: 429 });
  // The entries arrive, and the answer that says so does not.
  cloud.faults.add({ service: 'logging', cut: true });
  for (let i = 0; i < 3; i++) log.say.info(String(i));
  await until(() => cloud.logging.entries.length === 3);
  log.say.info('3');
  await log.flush(5000);
  expect(texts(cloud)).toEqual(['0', '1', '2', '3']);
  expect(log.delays.slice(0, 5)).toEqual([1000, 1000, 2000, 4000, 8000]);
  expect(log.dropped()).toBe(0);
});

test('the queue is bounded: the oldest lines go first, and are counted', async () => {
  await using cloud = await testCloud();
  const log = open(cloud, { mostQueued: 10 });
  for (let i = 0; i < 25; i++) log.say.info(String(i));
  await log.flush(5000);
  const kept = Array.from({ length: 10 }, (_, i) => String(15 + i));
  expect(texts(cloud)).toEqual(['15 lines were dropped here: Cloud Logging was slow or away', ...kept]);
  expect(cloud.logging.entries[0]).toMatchObject({ severity: 'WARNING', labels: { worker: 'demo-0' } });
  expect(log.told).toEqual(['WARNING 15 lines were dropped: Cloud Logging was slow or away']);
  expect(log.dropped()).toBe(15);
  // By size too: ten million characters at most.
  const wide = open(cloud);
  for (let i = 0; i < 120; i++) wide.say.info('x'.repeat(100_000));
  expect(wide.dropped()).toBeGreaterThan(15);
  await wide.flush(5000);
  expect(cloud.logging.entries.length).toBe(11 + 121 - wide.dropped());
});

test('lines that are said while a batch is under way do not push it out', async () => {
  await using cloud = await testCloud();
  const log = open(cloud, { mostQueued: 5 });
  for (let i = 0; i < 5; i++) log.say.info(String(i));
  cloud.faults.add({ service: 'logging', delayMs: 50 });
  const flushed = log.flush(5000);
  await Bun.sleep(25);
  for (let i = 5; i < 10; i++) log.say.info(String(i));
  await flushed;
  expect([texts(cloud).join(' '), log.dropped()]).toEqual(['0 1 2 3 4 5 6 7 8 9', 0]);
});

test('a line that Logging refuses is dropped alone; a long one is cut', async () => {
  await using cloud = await testCloud();
  const log = open(cloud);
  const at = new Date();
  const line = (message: string) => ({ at, severity: 'INFO' as const, message, labels: {} });
  for (let i = 0; i < 9; i++) log.sink(line(String(i)));
  log.sink({ ...line('impossible'), at: new Date(0) });
  log.sink(line('x'.repeat(300_000)));
  await log.flush(5000);
  expect(log.dropped()).toBe(1);
  expect(texts(cloud).slice(0, 9).sort().join('')).toBe('012345678');
  expect(String(texts(cloud)[9])).toEndWith('x [... 234464 more characters]');
});

test('flush gives up at its deadline', async () => {
  await using cloud = await testCloud();
  const log = open(cloud);
  cloud.faults.add({ service: 'logging', status: 503, times: 1000 });
  log.say.info('a');
  const began = performance.now();
  await log.flush(50);
  expect(performance.now() - began).toBeGreaterThan(40);
  expect(cloud.logging.entries).toEqual([]);
  cloud.faults.clear();
  await log.flush(5000);
  expect(texts(cloud)).toEqual(['a']);
});
