import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BorealisError, messageOf } from '../core/errors.ts';
import { SECOND, sleep } from '../core/wait.ts';
import { identify, isAlive } from '../sandbox/gcp/processes.ts';
import { runningSandbox } from '../sandbox/sandbox.ts';
import { killProcessesIn } from './processes_in.ts';
import { pathWithSbin } from './system_packages.ts';

/** Where the demo plays: its folder, its environment, the commands that it types, and how everything is put away. */
export interface Stage {
  /** The folder of the built binaries, first on PATH. */
  readonly bin: string;
  /** The folder of the miniature cloud. */
  readonly sandbox: string;
  readonly env: Record<string, string>;
  /** Where `--keep` leaves what the workflow made. */
  readonly results: string;
  readonly keep: boolean;
  /** Aborts at the first Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
  readonly interrupted: boolean;
  /** Whether the steps can run in containers. */
  docker: boolean;
  failed: boolean;
  say(line: string): void;
  chapter(title: string): void;
  /** Throws when the demo was interrupted: called between two steps that cannot be cut short. */
  check(): void;
  /** Shows a command line and runs it with `sh`. Throws when it fails. */
  type(line: string): Promise<void>;
  /** Shows `. file` and takes over what its export lines set. */
  source(file: string): Promise<void>;
  /** Runs a program without showing it, and returns what it prints. */
  ask(...argv: string[]): Promise<string>;
  /** Runs a program without showing it, out of reach of the terminal's Ctrl-C. */
  endQuietly(...argv: string[]): Promise<void>;
  /** Something to put away when the demo ends. The last one is put away first. */
  atEnd(putAway: () => Promise<unknown>): void;
  /** Fails the command that runs when what all is built on has died: workers wait for it for minutes. */
  needs(what: string, alive: () => boolean): void;
  /** Puts everything away and returns the demo's exit code. */
  close(): Promise<number>;
}

const bold =
  process.stdout.isTTY && !process.env.NO_COLOR ? (s: string) => `\x1b[1m${s}\x1b[0m` : (s: string) => s;

const FOLDER = 'borealis-demo-';
/** In the folder of a demo: who plays there. Not in one that was kept for its results. */
const OWNER = 'owner.json';

/** Each takes seconds; a workflow that nobody works on would be watched for ever. */
const COMMAND_WITHIN_MS = 60 * SECOND;
const STOP_WITHIN_MS = 10 * SECOND;

/** Opens the stage in a new temporary folder. `keep` leaves that folder, with the results, when the demo ends. */
export async function openStage(o: { cwd: string; keep: boolean }): Promise<Stage> {
  const started = performance.now();
  const say = (line: string) => console.log(line);

  // Before there is anything to put away.
  const interruption = new AbortController();
  let interruptedAt = 0;
  const onSignal = () => {
    const now = performance.now();
    // npm passes on a Ctrl-C that the terminal has sent here already: that is one wish, not two.
    if (interruption.signal.aborted && now - interruptedAt < 500) return;
    say(
      interruption.signal.aborted
        ? 'Still cleaning up'
        : '\nInterrupted: cleaning up, which takes a few seconds',
    );
    interruptedAt = now;
    interruption.abort();
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  // Nobody reads on: `npm run demo | head`, or a terminal that was closed.
  process.stdout.on('error', () => interruption.abort());

  await sweep();
  const folder = await mkdtemp(join(tmpdir(), FOLDER));
  const owner = join(folder, OWNER);
  await writeFile(owner, JSON.stringify(identify(process.pid)));
  const bin = join(folder, 'bin');
  const sandbox = join(folder, 'sandbox');
  const tmp = join(folder, 'tmp');
  const results = join(folder, 'results');
  await Promise.all([bin, sandbox, tmp].map((path) => mkdir(path)));
  const env: Record<string, string> = {
    ...(process.env as Record<string, string>),
    PATH: `${bin}:${pathWithSbin()}`,
    TMPDIR: tmp,
    BOREALIS_SANDBOX: sandbox,
  };
  const endings: (() => Promise<unknown>)[] = [];
  const collapse = new AbortController();
  let watching: Timer | undefined;
  const check = () => {
    if (interruption.signal.aborted) throw new BorealisError('interrupted');
  };

  async function wait(child: Bun.Subprocess, what: string): Promise<void> {
    const limit = AbortSignal.timeout(COMMAND_WITHIN_MS);
    const stop = AbortSignal.any([interruption.signal, collapse.signal, limit]);
    let patience: Timer | undefined;
    const end = () => {
      child.kill('SIGTERM');
      patience = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
    };
    if (stop.aborted) end();
    stop.addEventListener('abort', end, { once: true });
    const code = await child.exited;
    stop.removeEventListener('abort', end);
    clearTimeout(patience);
    check();
    collapse.signal.throwIfAborted();
    if (limit.aborted)
      throw new BorealisError(`\`${what}\` did not end within ${COMMAND_WITHIN_MS / SECOND} s`);
    if (code !== 0) throw new BorealisError(`\`${what}\` failed with exit code ${code}`);
  }

  const stage: Stage = {
    bin,
    sandbox,
    env,
    results,
    keep: o.keep,
    signal: interruption.signal,
    get interrupted() {
      return interruption.signal.aborted;
    },
    docker: false,
    failed: false,
    say,
    chapter: (title) => say(`\n${bold(`# ${title}`)}`),
    check,

    async type(line) {
      check();
      say(`\n${bold(`$ ${line}`)}`);
      const stdio = ['ignore', 'inherit', 'inherit'] as const;
      await wait(Bun.spawn(['sh', '-c', `exec ${line}`], { cwd: o.cwd, env, stdio: [...stdio] }), line);
    },

    async source(file) {
      check();
      say(`\n${bold(`$ . "$BOREALIS_SANDBOX/env"`)}`);
      for (const [, name, value] of (await readFile(file, 'utf8')).matchAll(/^export (\w+)=(.*)$/gm)) {
        env[name as string] = (value as string).replace(/^(['"])(.*)\1$/, '$2');
      }
    },

    async ask(...argv) {
      check();
      const child = Bun.spawn(argv, { cwd: o.cwd, env, stdio: ['ignore', 'pipe', 'inherit'] });
      const [out] = await Promise.all([new Response(child.stdout).text(), wait(child, argv.join(' '))]);
      return out;
    },

    async endQuietly(...argv) {
      // A session of its own: a second Ctrl-C at the terminal reaches the demo, not the clean-up.
      const child = Bun.spawn(argv, {
        cwd: o.cwd,
        env,
        stdio: ['ignore', 'ignore', 'inherit'],
        detached: true,
      });
      await child.exited;
    },

    atEnd: (putAway) => void endings.push(putAway),

    needs(what, alive) {
      watching = setInterval(() => {
        if (!alive()) collapse.abort(new BorealisError(`${what} has died`));
      }, SECOND);
    },

    async close() {
      clearInterval(watching);
      let clean = true;
      for (const putAway of endings.reverse()) {
        await putAway().catch((thrown) => {
          clean = false;
          console.error(`error: cleaning up: ${messageOf(thrown)}`);
        });
      }
      await killProcessesIn(folder);
      const kept = o.keep && !interruption.signal.aborted;
      // The results alone: the rest is binaries and a cloud that is gone.
      for (const path of kept ? [bin, sandbox, tmp, owner] : [folder])
        await rm(path, { recursive: true, force: true });
      if (kept) say(`\nThe results are in ${results}`);
      if (interruption.signal.aborted) return 130;
      if (stage.failed || !clean) return 1;
      say(`\nDone in ${((performance.now() - started) / 1000).toFixed(0)} s; nothing is left running.`);
      return 0;
    },
  };
  return stage;
}

/** Puts away what a demo that was killed outright left. */
async function sweep(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(FOLDER)) continue;
    const folder = join(tmpdir(), name);
    const owner = await readFile(join(folder, OWNER), 'utf8').catch(() => null);
    if (owner === null || isAlive(JSON.parse(owner))) continue;
    // Its own way first: workers that are told to stop take their containers with them.
    const sandbox = await runningSandbox(join(folder, 'sandbox'));
    if (sandbox) {
      process.kill(sandbox.pid, 'SIGTERM');
      for (const end = Date.now() + 20 * SECOND; isAlive(sandbox) && Date.now() < end; ) await sleep(50);
    }
    await killProcessesIn(folder);
    await rm(folder, { recursive: true, force: true });
  }
}
