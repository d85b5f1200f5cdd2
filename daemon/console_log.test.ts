import { expect, test } from 'bun:test';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { loggerTo } from '../core/log.ts';
import { consoleSink, fileSink, isJournal } from './console_log.ts';
import { SlowStream } from './slow_stream.ts';
import { until } from './test_worker.ts';

function consoleOf(o: { level?: string; json?: boolean; journal?: boolean } = {}) {
  const stream = new PassThrough();
  const sink = consoleSink({ level: 'DEBUG', json: false, to: new SlowStream(stream), ...o });
  const said = () => {
    let text = '';
    for (let part = stream.read(); part !== null; part = stream.read()) text += part;
    return text;
  };
  return { say: loggerTo([sink], { worker: 'w' }), said };
}

test('lines for people', () => {
  const { say, said } = consoleOf();
  say.with({ fw_id: 12, launch_id: 3, firework: 'align', task: 'DockerTask' }).debug('reading');
  say.error('It broke', { code: 7n });
  expect(said().replaceAll(/^\S+Z/gm, 'T')).toBe(
    'T DEBUG   [fw 12 DockerTask] reading\nT ERROR   It broke {"code":"7"}\n',
  );
});

test('one JSON object a line for machines: time, severity, message, labels, and what else there is', () => {
  const { say, said } = consoleOf({ json: true });
  const loop: Record<string, unknown> = {};
  loop.self = loop;
  say.with({ fw_id: 12 }).warning('two\nlines', { bytes: 7, message: 'another', time: 1 });
  say.error('odd', { loop });
  const [first, second, ...rest] = said().trimEnd().split('\n');
  const { time, ...line } = JSON.parse(first as string);
  expect(line).toEqual({
    severity: 'WARNING',
    message: 'two\nlines',
    labels: { worker: 'w', fw_id: 12 },
    bytes: 7,
  });
  expect(Math.abs(Date.parse(time) - Date.now())).toBeLessThan(60_000);
  expect(JSON.parse(second as string).message).toBe('odd');
  expect(rest).toEqual([]);
});

test('in the journal each line of a text has its priority', () => {
  const { say, said } = consoleOf({ journal: true });
  say.error('a\nb');
  say.info('c');
  expect(said().replaceAll(/[\d:.T-]+Z/g, 'T')).toBe('<3>T ERROR   a\n<3>b\n<6>T INFO    c\n');
});

test('stdout is the journal when it is the very stream that JOURNAL_STREAM names', () => {
  const fd = openSync('/dev/null', 'w');
  const { dev, ino } = fstatSync(fd);
  expect(isJournal({ JOURNAL_STREAM: `${dev}:${ino}` }, fd)).toBe(true);
  expect(isJournal({ JOURNAL_STREAM: `${dev}:${ino + 1}` }, fd)).toBe(false);
  expect(isJournal({}, fd)).toBe(false);
  closeSync(fd);
});

test.each([
  ['DEBUG', 'diwe'],
  ['INFO', 'iwe'],
  ['WARNING', 'we'],
  ['ERROR', 'e'],
  ['CRITICAL', 'e'],
])('strm_lvl %s', (level, heard) => {
  const { say, said } = consoleOf({ level });
  say.debug('d');
  say.info('i');
  say.warning('w');
  say.error('e');
  expect(said().match(/\w$/gm)?.join('')).toBe(heard);
});

test('a console that nobody reads holds nobody up; what was lost is told in its place', async () => {
  const stream = new PassThrough();
  const to = new SlowStream(stream, 1000);
  const say = loggerTo([consoleSink({ level: 'INFO', json: false, to })]);
  for (let i = 0; i < 2000; i++) say.info(`${'x'.repeat(90)} ${i}`);
  expect(stream.writableLength + stream.readableLength).toBeLessThan(20_000);
  let read = '';
  stream.on('data', (text) => {
    read += text;
  });
  await to.drained(5000);
  say.info('again');
  await until('the last line', () => read.includes('again'));
  const told = Number(/(\d+) lines were dropped here/.exec(read)?.[1]);
  expect(told + (read.match(/xxx \d+$/gm)?.length ?? 0)).toBe(2000);
});

test('a console that is gone or full is no reason to stop', async () => {
  const program = `
    import { consoleSink } from ${JSON.stringify(join(import.meta.dir, 'console_log.ts'))};
    import { SlowStream } from ${JSON.stringify(join(import.meta.dir, 'slow_stream.ts'))};
    const to = new SlowStream(process.stdout);
    const sink = consoleSink({ level: 'INFO', json: false, to });
    for (let i = 0; i < 300; i++) {
      sink({ at: new Date(), severity: 'INFO', message: 'x'.repeat(10_000), labels: {} });
      if (i % 100 === 0) await Bun.sleep(10);
    }
    await to.drained(100);
    console.error('still here');
    process.exit(0);`;
  for (const out of ['| true', '> /dev/full']) {
    const argv = ['sh', '-c', `"$0" -e "$1" ${out}`, process.execPath, program];
    const child = Bun.spawn(argv, { stderr: 'pipe', stdout: 'ignore' });
    expect([out, await new Response(child.stderr).text()]).toEqual([out, 'still here\n']);
  }
});

test('a file: INFO and more whatever the console shows, rotated by others, and no reason to stop when it is full', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'logs-'));
  try {
    const path = join(folder, 'deep', 'fireworker.log');
    const text = async () => (await readFile(path, 'utf8')).match(/[a-z]+$/gm)?.join(' ');
    const say = loggerTo([fileSink(join(folder, 'deep'), 'ERROR')]);
    say.debug('never');
    say.info('one');
    await rename(path, `${path}.1`);
    say.info('two');
    expect(await text()).toBe('two');
    loggerTo([fileSink(join(folder, 'deep'), 'DEBUG')]).debug('three');
    expect(await text()).toBe('two three');
    // What cannot be written: as on a full disk.
    await rm(join(folder, 'deep'), { recursive: true });
    say.info('lost');
    say.info('lost too');
    loggerTo([fileSink(join(folder, 'deep'), 'INFO')]).info('four');
    say.info('five');
    expect(await readFile(path, 'utf8')).toMatch(
      /four\n\S+ WARNING 2 lines were dropped here: .*\n.*five\n$/,
    );
    expect(() => fileSink('/dev/null/x', 'INFO')).toThrow(
      /^logdir=\/dev\/null\/x: .*\. Name a folder that can be written$/,
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});
