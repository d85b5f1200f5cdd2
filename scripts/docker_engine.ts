/**
 * A Docker Engine for the demo and the tests: the one that answers, or one of their own, which is gone afterwards.
 *
 *     bun scripts/docker_engine.ts run -- docker ps      runs a command with DOCKER_HOST set to it
 */
import { accessSync, closeSync, constants, existsSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BorealisError, messageOf } from '../core/errors.ts';
import { SECOND, sleep } from '../core/wait.ts';
import { Engine, engineAddress } from '../daemon/docker/engine.ts';
import { identify, isAlive, type ProcessId } from '../sandbox/gcp/processes.ts';
import { killProcessesIn } from './processes_in.ts';
import { canInstall, pathWithSbin, provide, thisMachine } from './system_packages.ts';

export interface DockerEngine {
  /** For DOCKER_HOST. */
  host: string;
  /** True when it was started here. */
  own: boolean;
  /** Whether what was started here lives still. */
  alive(): boolean;
  /** Stops it and leaves nothing of it, when it was started here. */
  stop(): Promise<void>;
}

const FOLDER = 'borealis-docker-';
/** In the folder of an Engine: who started it. */
const OWNER = 'owner.json';

const START_WITHIN_MS = 30 * SECOND;
const ANSWER_WITHIN_MS = 5 * SECOND;
const STOP_WITHIN_MS = 20 * SECOND;

export interface EngineOptions {
  /** Tells in one line what is installed or started, or what is left out and how to get an Engine. */
  say: (line: string) => void;
  /** What happens without an Engine, for that line: 'tests of DockerTask are skipped'. */
  without: string;
  /** Gives up while one starts; nothing is left of it. */
  signal?: AbortSignal;
}

/**
 * Finds or starts an Engine; as root on Debian it is installed when there is none. Null, after a line that says why, when
 * none of this can be done here, or when it was given up.
 */
export async function dockerEngine(o: EngineOptions): Promise<DockerEngine | null> {
  const there = process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock';
  if (await answers(there, o.signal))
    return { host: there, own: false, alive: () => true, stop: async () => {} };
  const find = () => Bun.which('dockerd', { PATH: pathWithSbin() });
  if (!find() && canInstall(await thisMachine()))
    await provide([{ program: 'dockerd', package: 'docker.io', why: o.without }], o.say);
  const dockerd = find();
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || !dockerd) {
    o.say(
      `No Docker Engine answers, and one cannot be started here (that needs root and dockerd): ${o.without}. To get one: ${wayToGet(there, dockerd)}`,
    );
    return null;
  }
  await sweep();
  try {
    return await start(dockerd, o.signal);
  } catch (thrown) {
    o.say(`A Docker Engine could not be started: ${messageOf(thrown)}: ${o.without}`);
    return null;
  }
}

/** What a person types to have an Engine at `host`. */
function wayToGet(host: string, dockerd: string | null): string {
  const { socketPath } = engineAddress(host);
  if (socketPath && existsSync(socketPath) && !mayWrite(socketPath))
    return 'sudo usermod -aG docker $USER, then sign in again';
  return dockerd ? 'sudo systemctl start docker' : 'sudo apt-get install -y docker.io';
}

function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whether an Engine answers at `host`. One that takes a connection and then says nothing does not. */
async function answers(host: string, signal?: AbortSignal): Promise<boolean> {
  const limit = AbortSignal.timeout(ANSWER_WITHIN_MS);
  try {
    await using engine = new Engine(engineAddress(host));
    await engine.request('GET', '/_ping', {
      text: true,
      signal: signal ? AbortSignal.any([limit, signal]) : limit,
    });
    return true;
  } catch {
    return false;
  }
}

/** Starts dockerd in a folder of its own. Throws BorealisError with its last words when it does not come to answer. */
async function start(dockerd: string, signal?: AbortSignal): Promise<DockerEngine | null> {
  const folder = await newFolder();
  const running = await launch(dockerd, folder, { signal });
  if (!running) return null;
  return {
    host: hostIn(folder),
    own: true,
    alive: () => isAlive(running),
    stop: () => putAway(folder, running),
  };
}

async function newFolder(): Promise<string> {
  // Short: a socket's path may have 107 characters.
  const folder = await mkdtemp(join('/tmp', FOLDER));
  await writeFile(join(folder, OWNER), JSON.stringify(identify(process.pid)));
  return folder;
}

const hostIn = (folder: string) => `unix://${folder}/docker.sock`;

/** Starts dockerd in this folder, and returns when it answers; null, with the folder put away, when it was given up. */
async function launch(
  dockerd: string,
  folder: string,
  o: { args?: string[]; env?: Record<string, string>; signal?: AbortSignal },
): Promise<ProcessId | null> {
  const { args = [], env = {}, signal } = o;
  const logFile = join(folder, 'dockerd.log');
  const log = openSync(logFile, 'a');
  // On a busy machine dockerd may take its containerd for hung, and has it write where it hangs: to TMPDIR, for good.
  const tmp = join(folder, 'tmp');
  await mkdir(tmp, { recursive: true });
  const child = Bun.spawn(
    [
      dockerd,
      '--host',
      hostIn(folder),
      '--data-root',
      `${folder}/data`,
      '--exec-root',
      `${folder}/exec`,
      '--pidfile',
      `${folder}/pid`,
      // No network for containers: a bridge and the firewall rules that belong to it would outlive dockerd.
      '--bridge=none',
      '--iptables=false',
      '--ip6tables=false',
      ...args,
    ],
    // A session of its own: a Ctrl-C at the terminal must not end it before the containers.
    {
      stdio: ['ignore', log, log],
      detached: true,
      env: { ...process.env, PATH: pathWithSbin(), TMPDIR: tmp, DOCKER_HOST: undefined, ...env },
    },
  );
  closeSync(log);
  const dockerdId = identify(child.pid);
  for (
    const end = Date.now() + START_WITHIN_MS;
    Date.now() < end && child.exitCode === null && !signal?.aborted;
    await sleep(100, signal)
  ) {
    if (await answers(hostIn(folder), signal)) return dockerdId;
  }
  const said = (await readFile(logFile, 'utf8')).trim().split('\n').at(-1);
  await putAway(folder, dockerdId);
  if (signal?.aborted) return null;
  throw new BorealisError(said || `dockerd did not answer within ${START_WITHIN_MS / SECOND} s`);
}

/** An Engine for tests of what Engines do to tasks: it can be killed outright, and started again with what it had. */
export interface FragileEngine extends AsyncDisposable {
  host: string;
  folder: string;
  /** A power cut for dockerd alone: its containers run on. */
  kill(): Promise<void>;
  /** SIGTERM, as when its package is upgraded. */
  end(): Promise<void>;
  startAgain(): Promise<void>;
}

/** Starts one with further arguments for dockerd; null where that cannot be done: it needs root and dockerd. */
export async function fragileEngine(
  o: { args?: string[]; env?: Record<string, string> } = {},
): Promise<FragileEngine | null> {
  const dockerd = Bun.which('dockerd', { PATH: pathWithSbin() });
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || !dockerd) return null;
  const folder = await newFolder();
  let running = await launch(dockerd, folder, o);
  const signal = async (name: NodeJS.Signals) => {
    if (running && isAlive(running)) process.kill(running.pid, name);
    for (const end = Date.now() + STOP_WITHIN_MS; running && isAlive(running) && Date.now() < end; )
      await sleep(20);
  };
  return {
    host: hostIn(folder),
    folder,
    kill: () => signal('SIGKILL'),
    end: () => signal('SIGTERM'),
    async startAgain() {
      // Its containerd died with it; where process 1 collects no orphans it would be taken for one that lives.
      await rm(join(folder, 'exec/containerd/containerd.pid'), { force: true });
      running = await launch(dockerd, folder, o);
    },
    [Symbol.asyncDispose]: () => putAway(folder, running),
  };
}

/** Ends an Engine and what runs in its containers, takes its mounts away and deletes its folder. */
async function putAway(folder: string, dockerd: ProcessId | null): Promise<void> {
  if (dockerd && isAlive(dockerd)) {
    process.kill(dockerd.pid, 'SIGTERM');
    for (const end = Date.now() + STOP_WITHIN_MS; isAlive(dockerd) && Date.now() < end; ) await sleep(50);
  }
  await killProcessesIn(folder);
  const mounts = (await readFile('/proc/self/mounts', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '');
  for (const mount of mounts.filter((path) => path.startsWith(`${folder}/`)).reverse())
    Bun.spawnSync(['umount', '-l', mount]);
  await rm(folder, { recursive: true, force: true });
}

/** Puts away what a starter that was killed outright left. */
async function sweep(): Promise<void> {
  for (const name of await readdir('/tmp')) {
    if (!name.startsWith(FOLDER)) continue;
    const folder = join('/tmp', name);
    const starter = await readFile(join(folder, OWNER), 'utf8').catch(() => null);
    if (starter === null || isAlive(JSON.parse(starter))) continue;
    const pid = Number(await readFile(join(folder, 'pid'), 'utf8').catch(() => 0));
    await putAway(folder, pid > 0 ? identify(pid) : null);
  }
}

/**
 * Makes an image of busybox alone, with all its programs (sh, awk, sort...), under `name`. Returns what takes it away
 * again. An image of that name that was there already is left, unless it was made here by a process that was killed before
 * it took it away. Throws BorealisError when busybox-static is missing.
 */
export async function importImage(host: string, name: string): Promise<() => Promise<void>> {
  await using engine = await Engine.open({ DOCKER_HOST: host });
  const there = (await engine.request('GET', `/images/${name}/json`).catch(() => null)) as Image | null;
  if (there) {
    const maker = there.Config?.Labels?.[MAKER];
    if (!maker || isAlive(JSON.parse(maker))) return async () => {};
    await engine.request('DELETE', `/images/${name}`);
  }
  const busybox = Bun.which('busybox', { PATH: pathWithSbin() });
  if (!busybox)
    throw new BorealisError(
      'There is no busybox to make an image of. To get it: sudo apt-get install -y busybox-static',
    );
  const root = await mkdtemp(join(tmpdir(), 'borealis-image-'));
  try {
    await mkdir(join(root, 'bin'));
    await mkdir(join(root, 'tmp'), { mode: 0o1777 });
    await Bun.write(join(root, 'bin/busybox'), Bun.file(busybox));
    const install =
      'chmod 755 bin/busybox && for p in $(bin/busybox --list); do [ $p = busybox ] || ln -s busybox bin/$p; done && tar -cf image.tar bin tmp';
    const made = Bun.spawnSync(['sh', '-c', install], { cwd: root });
    if (made.exitCode !== 0) throw new BorealisError(`The image could not be made: ${made.stderr}`);
    const [repo = name, tag = 'latest'] = name.split(/:(?=[^/]*$)/);
    const label = `LABEL ${MAKER}=${JSON.stringify(JSON.stringify(identify(process.pid)))}`;
    const query = new URLSearchParams({ fromSrc: '-', repo, tag, changes: label });
    await engine.upload(`/images/create?${query}`, Bun.file(join(root, 'image.tar')));
  } finally {
    await rm(root, { recursive: true, force: true });
  }
  return async () => {
    await using again = await Engine.open({ DOCKER_HOST: host });
    await again.request('DELETE', `/images/${name}`).catch(() => {});
  };
}

/** What matters here of the Engine's answer about an image. */
interface Image {
  Config?: { Labels?: Record<string, string> | null };
}

/** The label that names the process that made an image, as a ProcessId in JSON. */
const MAKER = 'borealis.maker';

/** Runs `argv` with an Engine, and returns its exit code. */
async function runWithEngine(argv: string[]): Promise<number> {
  // A Ctrl-C at the terminal reaches the command too; any other signal is passed on. The Engine goes when it has ended.
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stop.abort(name));
  const engine = await dockerEngine({
    say: console.error,
    without: 'the command does not run',
    signal: stop.signal,
  });
  if (!engine) return 1;
  try {
    if (stop.signal.aborted) return 1;
    const child = Bun.spawn(argv, {
      stdio: ['inherit', 'inherit', 'inherit'],
      env: { ...process.env, DOCKER_HOST: engine.host },
    });
    stop.signal.addEventListener('abort', () => child.kill(stop.signal.reason));
    return await child.exited;
  } finally {
    await engine.stop();
  }
}

if (import.meta.main) {
  const [verb, dashes, ...argv] = process.argv.slice(2);
  if (verb !== 'run' || dashes !== '--' || argv.length === 0) {
    console.error('usage: bun scripts/docker_engine.ts run -- COMMAND ...');
    process.exit(2);
  }
  process.exit(await runWithEngine(argv));
}
