/**
 * A Docker Engine for the demo and the tests: the one that answers, or one of their own, which is gone afterwards.
 *
 *     bun scripts/docker_engine.ts run -- docker ps      runs a command with DOCKER_HOST set to it
 */
import { closeSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BorealisError, messageOf } from '../core/errors.ts';
import { sleep } from '../core/wait.ts';
import { Engine } from '../daemon/docker/engine.ts';
import { identify, isAlive, type ProcessId } from '../sandbox/gcp/processes.ts';
import { pathWithSbin } from './system_packages.ts';

export interface DockerEngine {
  /** For DOCKER_HOST. */
  host: string;
  /** True when it was started here. */
  own: boolean;
  /** Stops it and leaves nothing of it, when it was started here. */
  stop(): Promise<void>;
}

const FOLDER = 'borealis-docker-';

/** Finds or starts an Engine. Null, after a line that says why, when neither can be done here. */
export async function dockerEngine(o: { say: (line: string) => void }): Promise<DockerEngine | null> {
  const there = process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock';
  if (await answers(there)) return { host: there, own: false, stop: async () => {} };
  const dockerd = Bun.which('dockerd', { PATH: pathWithSbin() });
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || !dockerd) {
    const get = dockerd ? 'sudo systemctl start docker' : 'sudo apt-get install -y docker.io';
    o.say(
      `No Docker Engine answers, and one cannot be started here (that needs root and dockerd). To get one: ${get}`,
    );
    return null;
  }
  await sweep();
  try {
    // With a bridge containers reach the network; where the kernel has no iptables for it, without one.
    return (
      (await start(dockerd, [])) ??
      (await start(dockerd, ['--iptables=false', '--ip6tables=false', '--bridge=none']))
    );
  } catch (thrown) {
    o.say(`A Docker Engine could not be started: ${messageOf(thrown)}`);
    return null;
  }
}

async function answers(host: string): Promise<boolean> {
  try {
    await using engine = await Engine.open({ DOCKER_HOST: host });
    return engine !== null;
  } catch {
    return false;
  }
}

/** Starts dockerd in a folder of its own. Null when it ends before it answers. */
async function start(dockerd: string, flags: string[]): Promise<DockerEngine | null> {
  // Short: a socket's path may have 107 characters.
  const folder = await mkdtemp(join('/tmp', FOLDER));
  const host = `unix://${folder}/docker.sock`;
  const log = openSync(join(folder, 'dockerd.log'), 'w');
  const child = Bun.spawn(
    [
      dockerd,
      '--host',
      host,
      '--data-root',
      `${folder}/data`,
      '--exec-root',
      `${folder}/exec`,
      '--pidfile',
      `${folder}/pid`,
      ...flags,
    ],
    // A session of its own: a Ctrl-C at the terminal must not end it before the containers.
    {
      stdio: ['ignore', log, log],
      detached: true,
      env: { ...process.env, PATH: pathWithSbin(), DOCKER_HOST: undefined },
    },
  );
  closeSync(log);
  const id = identify(child.pid);
  if (id)
    await writeFile(
      join(folder, 'owner.json'),
      JSON.stringify({ dockerd: id, starter: identify(process.pid) }),
    );
  for (const end = Date.now() + 30_000; Date.now() < end && child.exitCode === null; await sleep(100)) {
    if (await answers(host)) return { host, own: true, stop: () => end_(folder, id) };
  }
  await end_(folder, id);
  return null;
}

/** Ends a dockerd and its containerd, takes its mounts away and deletes its folder. */
async function end_(folder: string, dockerd: ProcessId | null): Promise<void> {
  if (dockerd && isAlive(dockerd)) {
    process.kill(dockerd.pid, 'SIGTERM');
    for (const end = Date.now() + 20_000; isAlive(dockerd) && Date.now() < end; ) await sleep(50);
    if (isAlive(dockerd)) process.kill(dockerd.pid, 'SIGKILL');
  }
  for (const pid of await processesOf(folder)) process.kill(pid, 'SIGKILL');
  for (const end = Date.now() + 5000; (await processesOf(folder)).length > 0 && Date.now() < end; )
    await sleep(50);
  const mounts = (await readFile('/proc/self/mounts', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '');
  for (const mount of mounts.filter((path) => path.startsWith(`${folder}/`)).reverse())
    Bun.spawnSync(['umount', '-l', mount]);
  await rm(folder, { recursive: true, force: true });
}

/** Processes (containerd, its shims, what ran in containers) whose command line names the folder. */
async function processesOf(folder: string): Promise<number[]> {
  const pids: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const argv = (await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')).split('\0');
    if (argv.some((word) => word.startsWith(folder) || word.startsWith(`unix://${folder}`)))
      pids.push(Number(name));
  }
  return pids;
}

/** Puts away what a starter that was killed outright left. */
async function sweep(): Promise<void> {
  for (const name of await readdir('/tmp')) {
    if (!name.startsWith(FOLDER)) continue;
    const text = await readFile(join('/tmp', name, 'owner.json'), 'utf8').catch(() => null);
    if (text === null) continue;
    const { dockerd, starter } = JSON.parse(text) as { dockerd: ProcessId; starter: ProcessId };
    if (!isAlive(starter)) await end_(join('/tmp', name), dockerd);
  }
}

/**
 * Makes an image of busybox alone, with all its programs (sh, awk, sort...), under `name`. Returns what takes it away
 * again; an image of that name that was there already is left. Throws BorealisError when busybox-static is missing.
 */
export async function importImage(host: string, name: string): Promise<() => Promise<void>> {
  await using engine = await Engine.open({ DOCKER_HOST: host });
  if (
    await engine.request('GET', `/images/${name}/json`).then(
      () => true,
      () => false,
    )
  )
    return async () => {};
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
    const [repo, tag = 'latest'] = name.split(/:(?=[^/]*$)/);
    await engine.upload(
      `/images/create?fromSrc=-&repo=${encodeURIComponent(repo ?? name)}&tag=${tag}`,
      Bun.file(join(root, 'image.tar')),
    );
  } finally {
    await rm(root, { recursive: true, force: true });
  }
  return async () => {
    await using again = await Engine.open({ DOCKER_HOST: host });
    await again.request('DELETE', `/images/${name}`).catch(() => {});
  };
}

if (import.meta.main) {
  const at = process.argv.indexOf('--');
  const engine = await dockerEngine({ say: console.error });
  if (!engine || at < 0) {
    console.error('usage: bun scripts/docker_engine.ts run -- COMMAND ...');
    process.exit(2);
  }
  process.on('SIGINT', () => {});
  const child = Bun.spawn(process.argv.slice(at + 1), {
    stdio: ['inherit', 'inherit', 'inherit'],
    env: { ...process.env, DOCKER_HOST: engine.host },
  });
  const code = await child.exited;
  await engine.stop();
  process.exit(code);
}
