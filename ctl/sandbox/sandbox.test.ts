import { afterAll, beforeAll, expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { isAlive } from '../../sandbox/gcp/processes.ts';
import { runningSandbox } from '../../sandbox/sandbox.ts';
import { type Program, program } from '../series.ts';

let cwd: string;
let dir: string;
let ctl: Program;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'ctl-sandbox-'));
  dir = join(cwd, 'box');
  ctl = program();
});
afterAll(async () => {
  await run(['sandbox', 'down', '--purge']);
  await ctl[Symbol.asyncDispose]();
  await rm(cwd, { recursive: true });
});

// No VM is made here: the worker is never started.
const env = () => ({ BOREALIS_SANDBOX: dir, BOREALIS_FIREWORKER: '/bin/true' });
const run = (...lines: string[][]) => ctl.run(lines, { cwd, env: env() });

test('up in the background, used, and down without a trace', async () => {
  const [before, up, again, status, exit, signal, none, preempt] = await run(
    ['sandbox', 'status', '--json'],
    ['sandbox', 'up', '--detach'],
    ['sandbox', 'up'],
    ['sandbox', 'status', '--json'],
    ['sandbox', 'run', '--', 'sh', '-c', 'test "$CLOUDSDK_CORE_PROJECT" = sandbox && exit 7'],
    ['sandbox', 'run', '--', 'sh', '-c', 'kill -TERM $$'],
    ['sandbox', 'run', '--', 'no-such-program'],
    ['sandbox', 'preempt', 'demo-0'],
  );
  expect(before).toMatchObject({ code: 1, err: '' });
  expect(JSON.parse(before?.out ?? '')).toEqual({ running: false, dir });
  expect(up?.code).toBe(0);
  expect(up?.out).toContain(`Next: . ${dir}/env`);
  expect(again).toMatchObject({ code: 1, out: '', err: expect.stringContaining(`runs in ${dir} already`) });
  expect(JSON.parse(status?.out ?? '')).toMatchObject({ running: true, vms: [], buckets: ['sandbox'] });
  expect([exit?.code, signal?.code, none?.code]).toEqual([7, 143, 127]);
  expect(preempt).toMatchObject({ code: 1, err: 'error: There is no VM demo-0. There are none\n' });

  const record = await runningSandbox(dir);
  if (!record) throw new Error('it does not run');
  const other = join(cwd, 'other');
  const [taken, down, downAgain, purged] = await run(
    ['sandbox', 'up', '--detach', '--dir', other, '--port', String(record.gcpPort)],
    ['sandbox', 'down'],
    ['sandbox', 'down'],
    ['sandbox', 'down', '--purge'],
  );
  expect(taken).toMatchObject({ code: 1, out: '' });
  expect(taken?.err).toContain(
    `Port ${record.gcpPort} is taken by another program. Choose another one: --port N`,
  );
  expect(existsSync(other)).toBe(false);
  expect([down?.code, downAgain?.code, purged?.code]).toEqual([0, 0, 0]);
  expect(isAlive(record)).toBe(false);
  expect(existsSync(dir)).toBe(false);
}, 60_000);

test('what keeps it from starting in the background is told', async () => {
  await writeFile(join(cwd, 'file'), '');
  await Bun.write(join(cwd, 'broken', 'mongo'), 'not a folder');
  const [ran] = await run(['sandbox', 'up', '--detach', '--dir', join(cwd, 'broken')]);
  expect(ran).toMatchObject({ code: 1, out: '' });
  expect(ran?.err).toContain('error: The sandbox did not start: The sandbox cannot start in');
}, 60_000);

test('one that was killed is gone for status, and down clears up after it', async () => {
  await run(['sandbox', 'up', '--detach']);
  const record = await runningSandbox(dir);
  if (!record) throw new Error('it does not run');
  process.kill(record.pid, 'SIGKILL');
  while (isAlive(record)) await Bun.sleep(10);
  const [status, down] = await run(['sandbox', 'status'], ['sandbox', 'down']);
  expect([status?.code, down?.code]).toEqual([1, 0]);
  expect(existsSync(join(dir, 'sandbox.json'))).toBe(false);
}, 60_000);

test('mongo with a user: the password from a file, never from the command line', async () => {
  const main = resolve(import.meta.dir, '..', 'main.ts');
  await writeFile(join(cwd, 'secret'), 'pass word\nsecond line\n');
  const flags = [
    'sandbox',
    'mongo',
    '--memory',
    '--port',
    '0',
    '--user',
    'me',
    '--password-file',
    'secret',
    '--json',
  ];
  const child = Bun.spawn([process.execPath, main, ...flags], { cwd, stdout: 'pipe', stderr: 'pipe' });
  let out = '';
  for await (const chunk of child.stdout) {
    out += new TextDecoder().decode(chunk);
    if (out.trimEnd().endsWith('}')) break;
  }
  const file = {
    host: '127.0.0.1',
    port: JSON.parse(out).port,
    name: 'x',
    username: 'me',
    authsource: 'admin',
  };
  await writeFile(join(cwd, 'good.yaml'), JSON.stringify({ ...file, password: 'pass word' }));
  await writeFile(join(cwd, 'bad.yaml'), JSON.stringify({ ...file, password: 'other' }));
  const [good, bad, asked] = await run(
    ['lpad', '-l', 'good.yaml', 'get_fws', '-d', 'count'],
    ['lpad', '-l', 'bad.yaml', 'get_fws', '-d', 'count'],
    ['sandbox', 'mongo', '--port', '0', '--user', 'me'],
  );
  expect(good).toMatchObject({ code: 0, out: '0\n' });
  expect(bad?.err).toContain("refused user 'me'");
  expect(asked).toMatchObject({ code: 2, err: expect.stringContaining('BOREALIS_MONGO_PASSWORD') });
  const argv = await readFile(`/proc/${child.pid}/cmdline`, 'utf8');
  expect(argv).not.toContain('pass word');
  child.kill('SIGINT');
  expect(await child.exited).toBe(0);
}, 60_000);
