/**
 * One machine for tests that cross rooms: a LaunchPad server, workers and command lines, all of them the built binaries as
 * real processes in one temporary folder. Everything is ended and taken away when it is disposed of.
 */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { LaunchPad, launchPadSettings } from '../core/launchpad/index.ts';
import { MINUTE, SECOND, sleep } from '../core/wait.ts';

const dist = resolve(import.meta.dir, '..', 'dist');

/** What the unit of a worker VM sets in its environment. */
export const UNIT_ENV = Object.fromEntries(
  readFileSync(resolve(import.meta.dir, '..', 'systemd', 'fireworker.service'), 'utf8')
    .matchAll(/^Environment=(\w+)=(.*)$/gm)
    .map(([, key, value]) => [key, value]),
) as Record<string, string>;

/** A Python with FireWorks, when there is one (scripts/test.ts sees to it). */
export const python = process.env.BOREALIS_PYTHON;

export interface Ran {
  code: number;
  out: string;
  err: string;
}

/** A program that goes on until the end of the test. */
export interface Running {
  readonly process: Bun.Subprocess;
  /** All that it has said so far. */
  said(): Promise<string>;
}

export interface OneMachine extends AsyncDisposable {
  readonly folder: string;
  readonly port: number;
  /** A connection for looking at what is stored. */
  readonly launchpad: LaunchPad;
  /** Runs a program to its end, in the folder unless `cwd` names another. */
  run(argv: readonly string[], o?: { cwd?: string; env?: Record<string, string> }): Promise<Ran>;
  /** Runs one of our `lpad` commands; throws when it fails. */
  lpad(...words: string[]): Promise<string>;
  /** Adds a workflow file with this content. */
  add(workflow: unknown): Promise<void>;
  /** Starts a program in the folder `name`, a new one. */
  start(name: string, argv: readonly string[], env?: Record<string, string>): Promise<Running>;
  /** Starts a fireworker of that name, with the environment that the unit of a VM gives it. `env` shortens its times and the like. */
  worker(name: string, env?: Record<string, string>): Promise<Running>;
  /** Ends the LaunchPad server as a power cut would; `startServer` starts it again on the same folder and port. */
  killServer(): Promise<void>;
  startServer(): Promise<void>;
}

/** Starts a LaunchPad in a new folder, empty and ready for workflows. */
export async function oneMachine(): Promise<OneMachine> {
  const folder = await mkdtemp(join(tmpdir(), 'one-machine-'));
  const env: Record<string, string> = {
    PATH: process.env.PATH ?? '',
    HOME: folder,
    TMPDIR: folder,
    // No VM: nobody is asked who this machine is.
    GCE_METADATA_HOST: '127.0.0.1:1',
    ...(process.env.BOREALIS_TEST_RUN && { BOREALIS_TEST_RUN: process.env.BOREALIS_TEST_RUN }),
  };
  const started: Running[] = [];
  let server: Bun.Subprocess<'ignore', 'pipe', 'inherit'>;
  let port = 0;

  async function startServer(): Promise<void> {
    const argv = ['sandbox', 'mongo', '--dir', join(folder, 'mongo'), '--port', String(port), '--json'];
    server = Bun.spawn([join(dist, 'borealisctl'), ...argv], {
      env,
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    for await (const chunk of server.stdout) {
      text += new TextDecoder().decode(chunk);
      if (text.trimEnd().endsWith('}')) break;
    }
    port = (JSON.parse(text) as { port: number }).port;
  }

  await startServer();
  const settings = { host: '127.0.0.1', port, name: 'fireworks' };
  await writeFile(join(folder, 'my_launchpad.yaml'), JSON.stringify(settings));
  const launchpad = await LaunchPad.open(launchPadSettings(settings, 'test'));
  await launchpad.reset();

  const machine: OneMachine = {
    folder,
    port,
    launchpad,
    startServer,
    async run(argv, o = {}) {
      const child = Bun.spawn([...argv], {
        cwd: o.cwd ?? folder,
        env: { ...env, ...o.env },
        stdin: 'ignore',
        stdout: 'pipe',
        stderr: 'pipe',
      });
      const [out, err] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      return { code: await child.exited, out, err };
    },
    async lpad(...words) {
      const ran = await machine.run([join(dist, 'borealisctl'), 'lpad', '-l', 'my_launchpad.yaml', ...words]);
      if (ran.code !== 0) throw new Error(`lpad ${words.join(' ')}: ${ran.err}`);
      return ran.out;
    },
    async add(workflow) {
      const file = join(folder, 'workflow.json');
      await writeFile(file, JSON.stringify(workflow));
      await machine.lpad('add', file);
    },
    async start(name, argv, more = {}) {
      const cwd = join(folder, name);
      await mkdir(cwd);
      const log = join(cwd, 'log');
      const fd = openSync(log, 'a');
      const child = Bun.spawn([...argv], { cwd, env: { ...env, ...more }, stdio: ['ignore', fd, fd] });
      closeSync(fd);
      const running = { process: child, said: () => readFile(log, 'utf8') };
      started.push(running);
      return running;
    },
    worker(name, more) {
      const argv = ['-l', '../my_launchpad.yaml', '--development', '--name', name];
      return machine.start(name, [join(dist, 'fireworker'), ...argv], { ...UNIT_ENV, ...more });
    },
    async killServer() {
      server.kill('SIGKILL');
      await server.exited;
    },
    async [Symbol.asyncDispose]() {
      // A stopped process hears SIGTERM only when it goes on.
      for (const { process: child } of started)
        for (const signal of ['SIGCONT', 'SIGTERM'] as const) child.kill(signal);
      await Promise.all(started.map(({ process: child }) => child.exited));
      await launchpad.close();
      server.kill('SIGTERM');
      await server.exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
  return machine;
}

/** Asks until the answer is true. Throws with `what` was waited for when that takes longer than `limitMs`. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  limitMs = MINUTE,
): Promise<void> {
  for (const end = Date.now() + limitMs; !(await holds()); await sleep(50))
    if (Date.now() > end) throw new Error(`Waited ${limitMs / SECOND} s in vain: ${what}`);
}
