/** No task outlives its worker. */
import { expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Guard } from './guard.ts';
import { runs, until } from './test_worker.ts';

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'guard-'));
  try {
    await work(folder);
    expect((await readdir(folder)).filter((name) => name.startsWith('.fireworker-guard'))).toEqual([]);
  } finally {
    await rm(folder, { recursive: true });
  }
}
const options = (cwd: string) => ({ cwd, env: process.env });
const text = (stream: ReadableStream<Uint8Array> | undefined) => new Response(stream).text();

test('a program has its own process group, its folder, and no trace of the guard in its environment', () =>
  inFolder(async (folder) => {
    await using guard = await Guard.start(folder);
    const child = guard.start(
      ['sh', '-c', 'pwd; env | grep -c -e BOREALIS_GUARD -e BOREALIS_WORKER; ps -o pgid= -p $$'],
      options(folder),
    );
    const [dir, count, group] = (await text(child.stdout)).trim().split('\n');
    expect([dir, Number(count), Number(group)]).toEqual([folder, 0, child.pid]);
    expect([await child.exited, child.signalled()]).toEqual([0, false]);
  }));

test('its exit, by itself or by a signal', () =>
  inFolder(async (folder) => {
    await using guard = await Guard.start(folder);
    const ended = async (...argv: string[]) => {
      const child = guard.start(argv, options(folder));
      return [await child.exited, child.signalled()];
    };
    expect(await ended('sh', '-c', 'exit 7')).toEqual([7, false]);
    expect(await ended('sh', '-c', 'kill -TERM $$')).toEqual([143, true]);
    expect(await ended('no-such-program')).toEqual([127, false]);
  }));

test('file descriptor 3, for an answer beside the output', () =>
  inFolder(async (folder) => {
    await using guard = await Guard.start(folder);
    const child = guard.start(['sh', '-c', 'echo out; echo answer >&3'], {
      ...options(folder),
      answer: true,
    });
    expect([await text(child.stdout), await text(child.answer)]).toEqual(['out\n', 'answer\n']);
    expect(guard.start(['true'], options(folder)).answer).toBeUndefined();
  }));

const WORKER = `
import { Guard } from ${JSON.stringify(join(import.meta.dir, 'guard.ts'))};
const guard = await Guard.start(process.cwd());
for (const line of ['sleep 60 & echo $! > a; trap "" TERM HUP; sleep 60; :', 'echo $$ > b; exec sleep 60'])
  guard.start(['sh', '-c', line], { cwd: process.cwd(), env: process.env });
await Bun.sleep(60_000);
`;

test('a worker that is killed outright: its tasks die with all that they started, and the guard goes', () =>
  inFolder(async (folder) => {
    const worker = Bun.spawn([process.execPath, '-e', WORKER], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const pidIn = (file: string) =>
      until(`the task that writes ${file}`, async () =>
        existsSync(join(folder, file)) ? Number(await Bun.file(join(folder, file)).text()) : null,
      );
    const pids = [await pidIn('a'), await pidIn('b')];
    worker.kill('SIGKILL');
    await worker.exited;
    for (const pid of pids) await until(`the end of ${pid}`, async () => !(await runs(pid)));
    await until('the end of the guard', async () =>
      (await readdir(folder)).every((name) => !name.startsWith('.fire')),
    );
  }));

test('a process group that is to end has time for it, until that is hastened', () =>
  inFolder(async (folder) => {
    const hastened = new AbortController();
    await using guard = await Guard.start(folder, hastened.signal);
    const start = () =>
      guard.start(['sh', '-c', "trap '' TERM; echo $$; while :; do sleep 60; done"], options(folder));
    const [slow, late] = [start(), start()];
    for (const { stdout } of [slow, late]) await stdout.getReader().read();
    const ending = guard.end(slow, 600_000);
    expect(await runs(slow.pid)).toBe(true);
    hastened.abort();
    await ending;
    await guard.end(late, 600_000);
    expect([await slow.exited, await late.exited, await runs(slow.pid)]).toEqual([137, 137, false]);
  }));

/** A daemon, in a session and a group of its own, and no child of the task any more. */
const DAEMON =
  '(setsid sh -c \'echo $$ > daemon; trap "" HUP; exec sleep 60\' &); while ! test -s daemon; do sleep 0.01; done';

test('what leaves the group ends with it', () =>
  inFolder(async (folder) => {
    await using guard = await Guard.start(folder);
    const child = guard.start(['sh', '-c', `${DAEMON}; exec sleep 60`], options(folder));
    const other = guard.start(['sh', '-c', 'exec sleep 60'], options(folder));
    const daemon = async () =>
      Number(
        await Bun.file(join(folder, 'daemon'))
          .text()
          .catch(() => 0),
      );
    const pid = await until('the daemon', daemon);
    await guard.end(child, 600_000);
    expect([await runs(child.pid), await runs(pid), await runs(other.pid)]).toEqual([false, false, true]);
    await guard.end(other, 600_000);
  }));

test('what a task left in the background ends with the worker, wherever it went', () =>
  inFolder(async (folder) => {
    const guard = await Guard.start(folder);
    expect(await guard.start(['sh', '-c', DAEMON], options(folder)).exited).toBe(0);
    const pid = Number(await Bun.file(join(folder, 'daemon')).text());
    expect(await runs(pid)).toBe(true);
    await guard[Symbol.asyncDispose]();
    expect(await runs(pid)).toBe(false);
  }));

/** Two tasks have containers; one or both of them have ended. `docker` here writes down what it is asked. */
const CONTAINERS = `
import { Guard } from ${JSON.stringify(join(import.meta.dir, 'guard.ts'))};
const guard = await Guard.start(process.cwd());
for (const label of ['borealis.guard=x', 'borealis.guard=x', ...Array(Number(process.env.ENDED)).fill(null)])
  guard.watchContainers(label);
await Bun.write('told', '');
await Bun.sleep(60_000);
`;

test.each([
  [1, 'ps -aq --filter label=borealis.guard=x\n'],
  [2, ''],
])('of two containers %d ended before the worker was killed: what is left goes', (ended, asked) =>
  inFolder(async (folder) => {
    await mkdir(join(folder, 'bin'));
    await writeFile(join(folder, 'bin/docker'), '#!/bin/sh\necho "$@" >> asked\n', { mode: 0o755 });
    const worker = Bun.spawn([process.execPath, '-e', CONTAINERS], {
      cwd: folder,
      env: { ...process.env, PATH: `${folder}/bin:${process.env.PATH}`, ENDED: String(ended) },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    await until('what the guard has to know', () => existsSync(join(folder, 'told')));
    worker.kill('SIGKILL');
    await worker.exited;
    await until('the end of the guard', async () =>
      (await readdir(folder)).every((name) => !name.startsWith('.fire')),
    );
    // The guard takes its pipe away first, and asks then. Looked at anew each time: a file that Bun saw empty stays so for it.
    const question = () => readFile(join(folder, 'asked'), 'utf8').catch(() => '');
    if (asked) await until('the question', async () => (await question()) === asked);
    else expect(await question()).toBe('');
  }),
);

test('without its guard nothing is started: nobody would end it', () =>
  inFolder(async (folder) => {
    await using guard = await Guard.start(folder);
    guard.process.kill('SIGKILL');
    await guard.process.exited;
    expect(() => guard.start(['true'], options(folder))).toThrow('The guard of task processes has ended');
  }));
