/** Cloud Logging behind a real connection that hangs, is refused, or comes back. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { testCloud, until } from '../../sandbox/gcp/test_cloud.ts';
import { TestLine } from '../../sandbox/gcp/test_line.ts';
import { loggerTo } from '../log.ts';
import { sleep } from '../wait.ts';
import { readEndpoints } from './endpoints.ts';
import { type CloudLogOptions, cloudLog } from './logging.ts';

async function open(o: Partial<CloudLogOptions> = {}) {
  const cloud = await testCloud();
  const line = new TestLine(cloud.port);
  await line.open();
  const told: string[] = [];
  const log = cloudLog({
    project: 'sandbox',
    endpoints: {
      ...readEndpoints(cloud.env),
      logging: new URL(`http://127.0.0.1:${line.port}`),
    },
    resource: { type: 'gce_instance', labels: { project_id: 'sandbox', instance_id: '1', zone: 'z' } },
    minSeverity: 'DEBUG',
    tell: (severity, message) => void told.push(`${severity} ${message}`),
    requestMs: 300,
    sleep: (ms, signal) => sleep(ms / 100, signal),
    ...o,
  });
  return {
    ...log,
    cloud,
    line,
    told,
    say: loggerTo([log.sink]),
    texts: () => cloud.logging.entries.map(({ textPayload }) => String(textPayload)),
    async [Symbol.asyncDispose]() {
      await line[Symbol.asyncDispose]();
      await cloud[Symbol.asyncDispose]();
    },
  };
}
const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => String(from + i));

test('a Logging that hangs: lines wait, are sent again when it is back, and are there once and in order', async () => {
  await using log = await open();
  log.say.info('0');
  await log.flush(5000);
  log.line.hang();
  for (const text of numbered(1, 1000)) log.say.info(text);
  await until(() => log.told.length === 1);
  expect(log.told[0]).toMatch(
    /^WARNING Cloud Logging does not take lines: .+\. They wait; when they are too many the oldest are dropped$/,
  );
  log.line.cut();
  await log.line.open();
  await log.flush(5000);
  expect(log.texts()).toEqual(numbered(0, 1000));
  expect(log.told.slice(1)).toEqual(['INFO Cloud Logging takes lines again']);
  expect(log.dropped()).toBe(0);
});

test('nobody listens: the oldest lines go, and the log and the console say how many', async () => {
  await using log = await open({ mostQueued: 100 });
  log.say.info('0');
  await log.flush(5000);
  await log.line.refuse();
  log.say.info('1');
  await until(() => log.told.length === 1);
  for (const text of numbered(2, 1000)) log.say.info(text);
  await log.line.open();
  await log.flush(5000);
  const dropped = '898 lines were dropped here: Cloud Logging was slow or away';
  // What was under way when the outage began is kept.
  expect(log.texts()).toEqual(['0', '1', dropped, ...numbered(900, 1000)]);
  expect(log.dropped()).toBe(898);
  expect(log.told.slice(1)).toEqual([
    'INFO Cloud Logging takes lines again',
    `WARNING ${dropped.replace(' here', '')}`,
  ]);
});

test('a Logging that is slower than what is said: every line is there, or counted where it is missing', async () => {
  await using log = await open({ mostQueued: 600, requestMs: 60_000 });
  log.line.delayMs = 30;
  for (let from = 0; from < 20_000; from += 200) {
    for (const text of numbered(from, from + 200)) log.say.info(text);
    await Bun.sleep(1);
  }
  await log.flush(10_000);
  let next = 0;
  for (const text of log.texts()) {
    const dropped = /^(\d+) lines were dropped here/.exec(text)?.[1];
    if (dropped === undefined) expect([next, Number(text)]).toEqual([Number(text), next]);
    next = dropped === undefined ? Number(text) + 1 : next + Number(dropped);
  }
  expect(next).toBe(20_000);
  expect(log.dropped()).toBeGreaterThan(0);
});

test('a Logging that hangs at the end: the flush is bounded, and says what was not sent', async () => {
  await using log = await open({ requestMs: 60_000 });
  log.line.hang();
  for (const text of numbered(0, 1000)) log.say.info(text);
  await until(() => log.line.taken > 0);
  await log.flush(50);
  expect(log.told).toEqual(['WARNING 1000 lines have not reached Cloud Logging']);
});

test('no credentials: told once, lines wait, and the worker goes on', async () => {
  const program = `
    const { cloudLog } = await import(${JSON.stringify(join(import.meta.dir, 'logging.ts'))});
    const told = [];
    const log = cloudLog({
      project: 'p',
      endpoints: { metadataHost: '127.0.0.1:1' },
      resource: { type: 'global', labels: {} },
      minSeverity: 'INFO',
      tell: (severity, message) => void told.push(severity + ' ' + message),
      sleep: (ms) => Bun.sleep(ms / 100).then(() => true),
    });
    log.sink({ at: new Date(), severity: 'INFO', message: '', labels: {} });
    while (told.length === 0) await Bun.sleep(5);
    await log.flush(10);
    console.log(told.join('\\n'));
    process.exit(0);`;
  const env = { ...process.env, GOOGLE_APPLICATION_CREDENTIALS: '/nowhere/key.json' };
  const child = Bun.spawn([process.execPath, '-e', program], { env, stderr: 'pipe' });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  expect([await child.exited, err]).toEqual([0, '']);
  const [first, ...rest] = out.trim().split('\n');
  expect(first).toMatch(/^WARNING Cloud Logging does not take lines: .*\/nowhere\/key\.json/);
  expect(rest).toEqual(['WARNING 1 lines have not reached Cloud Logging']);
});

test('a flood while Logging hangs takes a bounded amount of memory', async () => {
  await using log = await open({ requestMs: 60_000 });
  log.line.hang();
  const used = () => {
    Bun.gc(true);
    return process.memoryUsage.rss();
  };
  const flood = (lines: number) => {
    for (let i = 0; i < lines; i++) log.say.debug(`${i} ${'x'.repeat(200)}`);
  };
  flood(50_000);
  const before = used();
  // 250 MB of text in a million lines.
  flood(1_000_000);
  expect(used() - before).toBeLessThan(100e6);
  expect(log.dropped()).toBeGreaterThan(1_000_000);
});
