/**
 * No task may outlive its worker: when a worker is killed outright, its Firework will be rerun, and the same task must not
 * be running twice. Every process group that a task starts is known to a guard, a tiny shell process that reads a named
 * pipe which the worker holds open. The worker's death, of whatever kind, closes the pipe; the guard then kills the groups.
 *
 * A process enters itself into the list before it becomes the task, so that there is no moment in between. What leaves its
 * group (setsid, a daemon) is known by a mark in its environment, which its children have too.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BorealisError } from '../core/errors.ts';
import { SECOND, sleep } from '../core/wait.ts';

const GUARD = `
mkfifo -m 600 "$1" || exit 1
echo ready
groups=' '
containers=
while read -r what id; do
  case $what in
    c) containers=$id ;;
    +) groups="$groups$id " ;;
    -) groups="\${groups%% $id *} \${groups#* $id }" ;;
  esac
done < "$1"
# Whoever is entering at this moment is let through: they look whether their worker lives, and end.
exec 3<> "$1"
rm -f "$1"
for id in $groups; do kill -s KILL -- "-$id" 2> /dev/null; done
tries=0
while strays=$(grep -ls "$2" /proc/[0-9]*/environ); [ -n "$strays" ] && [ $((tries += 1)) -le 50 ]; do
  for file in $strays; do id=\${file#/proc/}; kill -s KILL "\${id%/environ}" 2> /dev/null; done
  sleep 0.1
done
[ -n "$containers" ] && command -v docker > /dev/null &&
  docker ps -aq --filter "label=$containers" 2> /dev/null | while read -r id; do docker rm -f "$id"; done > /dev/null 2>&1
exit 0
`;

const MARK = 'FIREWORKER_TASK';

/** Enters its own process group, then becomes the program; when the worker has died meanwhile, it ends. */
const ENTER = `
[ -p "$BOREALIS_GUARD" ] && echo "+ $$" > "$BOREALIS_GUARD" && kill -0 "$BOREALIS_WORKER" || exit 137
unset BOREALIS_GUARD BOREALIS_WORKER
exec "$0" "$@"
`;

/** A task's processes: a group, and whatever left it and has this mark in its environment. */
export interface GuardedGroup {
  readonly pid: number;
  readonly mark: string;
}

export interface GuardedProcess extends GuardedGroup {
  readonly stdin: import('bun').FileSink | undefined;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  /** What the program writes to file descriptor 3, when asked for. */
  readonly answer: ReadableStream<Uint8Array> | undefined;
  /** The exit code; 128 + signal when it was killed, as a shell says. */
  readonly exited: Promise<number>;
  /** Whether it was a signal that ended it. */
  signalled(): boolean;
}

export interface StartOptions {
  cwd: string;
  env?: Record<string, string | undefined>;
  stdin?: 'pipe' | 'ignore' | number;
  /** A pipe to read from, which the program has as file descriptor 3. */
  answer?: boolean;
}

export class Guard implements AsyncDisposable {
  /** Readers of what programs left running in the background. */
  readonly #left = new Set<Promise<unknown>>();
  /** How many tasks have a container just now. */
  #containers = 0;
  #started = 0;

  private constructor(
    readonly path: string,
    /** What the marks of all its tasks begin with. */
    readonly mark: string,
    readonly fd: number,
    readonly process: Bun.Subprocess<'ignore', 'pipe', 'inherit'>,
    /** Aborts when there is no time for tasks to end by themselves. */
    readonly hastened: AbortSignal,
  ) {}

  /** Starts a guard whose pipe is in `folder`. When `hastened` aborts, what it ends gets SIGKILL at once. */
  static async start(folder: string, hastened = new AbortController().signal): Promise<Guard> {
    const id = `${process.pid}-${crypto.randomUUID().slice(0, 8)}`;
    const path = join(folder, `.fireworker-guard-${id}`);
    const mark = `${MARK}=${id}-`;
    const guard = Bun.spawn(['sh', '-c', GUARD, 'fireworker-guard', path, mark], {
      stdio: ['ignore', 'pipe', 'inherit'],
      // A session of its own: a Ctrl-C at the terminal is the worker's to handle.
      detached: true,
    });
    const { value } = await guard.stdout.getReader().read();
    if (!value) throw new Error(`The guard of task processes did not start in ${folder}`);
    return new Guard(path, mark, openSync(path, 'w'), guard, hastened);
  }

  /** Starts a program in a process group of its own. Its exit code is 127, as in a shell, when there is no such program. */
  start(argv: readonly string[], o: StartOptions): GuardedProcess {
    if (this.process.exitCode !== null || this.process.signalCode !== null)
      throw new BorealisError('The guard of task processes has ended. Start this worker again');
    const mark = `${this.mark}${++this.#started}`;
    const child = Bun.spawn(['sh', '-c', ENTER, ...argv], {
      cwd: o.cwd,
      env: {
        ...o.env,
        [MARK]: mark.slice(MARK.length + 1),
        BOREALIS_GUARD: this.path,
        BOREALIS_WORKER: String(process.pid),
      },
      stdio: [o.stdin ?? 'ignore', 'pipe', 'pipe', ...(o.answer ? (['pipe'] as const) : [])],
      detached: true,
    });
    const { pid } = child;
    const exited = child.exited.then((code) => {
      // What the program left in the background stays its group's: the group is watched until it is empty.
      if (!groupLives(pid)) this.forget(pid);
      return code;
    });
    const answerFd = o.answer ? (child.stdio as unknown as number[])[3] : undefined;
    return {
      pid,
      mark,
      stdin: o.stdin === 'pipe' ? (child.stdin as import('bun').FileSink) : undefined,
      stdout: child.stdout as ReadableStream<Uint8Array>,
      stderr: child.stderr as ReadableStream<Uint8Array>,
      answer: answerFd === undefined ? undefined : Bun.file(answerFd).stream(),
      exited,
      signalled: () => child.signalCode !== null,
    };
  }

  forget(pid: number): void {
    this.#tell(`- ${pid}`);
  }

  /**
   * Containers are the Docker Engine's children, not the worker's. While a task has one, those with this label are removed
   * when the worker dies, by the program `docker` (where there is none: by systemd/fireworker.service). Null: the task's is gone.
   */
  watchContainers(label: string | null): void {
    this.#containers += label === null ? -1 : 1;
    if (label !== null || this.#containers === 0) this.#tell(`c ${label ?? ''}`);
  }

  #tell(line: string): void {
    try {
      writeSync(this.fd, `${line}\n`);
    } catch {
      // The guard has ended, and with it what it knew.
    }
  }

  /** Takes over the reading of what a program's background processes write: to be over when the guard has ended them. */
  leave(reading: Promise<unknown>): void {
    const done = reading.catch(() => {}).finally(() => this.#left.delete(done));
    this.#left.add(done);
  }

  /** Ends a task's processes: SIGTERM, after `graceMs` SIGKILL. Returns when nothing of them is left. */
  async end(task: GuardedGroup, graceMs: number): Promise<void> {
    await signalAll(task, 'SIGTERM');
    // By a clock that nobody sets back.
    const began = performance.now();
    const patient = () => performance.now() - began < graceMs && !this.hastened.aborted;
    while ((await left(task)).any && patient()) await sleep(20, this.hastened);
    const killed = performance.now();
    while ((await signalAll(task, 'SIGKILL')) && performance.now() - killed < 5 * SECOND) await sleep(20);
    this.forget(task.pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    closeSync(this.fd);
    await this.process.exited;
    await Promise.all(this.#left);
    await rm(this.path, { force: true });
  }
}

function groupLives(pid: number): boolean {
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** What is left of a task. What has ended, and only was not collected by its parent (in a container nobody may do that), does not count. */
async function left({ pid: group, mark }: GuardedGroup) {
  const found = { inGroup: false, strays: [] as number[], any: false };
  if (process.platform === 'linux') {
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
      // After the name in parentheses, which may hold anything: state, parent, group.
      const [state, , its] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (stat === '' || state === 'Z') continue;
      if (Number(its) === group) found.inGroup = true;
      else if (await hasMark(pid, mark)) found.strays.push(Number(pid));
    }
  } else found.inGroup = groupLives(group);
  found.any = found.inGroup || found.strays.length > 0;
  return found;
}

async function hasMark(pid: string, mark: string): Promise<boolean> {
  const environ = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
  return `\0${environ}`.includes(`\0${mark}\0`);
}

/** False: there is nobody. */
async function signalAll(task: GuardedGroup, signal: NodeJS.Signals): Promise<boolean> {
  const { inGroup, strays, any } = await left(task);
  if (inGroup) send(-task.pid, signal);
  for (const pid of strays) send(pid, signal);
  return any;
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone already.
  }
}
